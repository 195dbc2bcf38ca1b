import { messageOf } from '../../base/errors.ts'
import { type Factory, startFactory } from '../../runtime/factory.ts'
import { fileLog } from '../../runtime/log.ts'
import { factoryDir, pathsIn } from '../../runtime/paths.ts'
import { wholeNumber } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { paint } from '../output.ts'

interface UpOptions {
  host: string
  port: string
  gatewayPort: string
  nodes: string
  slots?: string
  apiKey?: string[]
  logLevel: string
}

export async function up(options: UpOptions, global: Global): Promise<void> {
  const started = performance.now()
  const dir = factoryDir(global.dir)
  if (!['debug', 'info', 'warn', 'error'].includes(options.logLevel)) {
    throw new Exit(exit.usage, `--log-level: found "${options.logLevel}"; allowed are debug, info, warn, error.`)
  }
  const factory = await start(dir, options)
  const lines = [
    `${paint.bold('millwright')} is up in ${Math.round(performance.now() - started)} ms`,
    `  API      ${factory.url}`,
    `  gateway  ${factory.gatewayUrl}/v1`,
    `  nodes    ${factory.nodes.join(', ')}`,
    `  folder   ${dir}`,
    ...(factory.resumed > 0
      ? [`  resumed  ${factory.resumed} job${factory.resumed > 1 ? 's' : ''} of the last stop`]
      : []),
    '',
    'Next: `millwright run -- echo hello` in another terminal, `millwright status -w` to watch. Ctrl-C suspends and stops.',
  ]
  console.log(lines.join('\n'))
  await stopSignal()
  await stop(factory)
}

async function start(dir: string, options: UpOptions): Promise<Factory> {
  try {
    return await startFactory({
      dir,
      host: options.host,
      port: wholeNumber('--port', options.port, 0, 65_535),
      gatewayPort: wholeNumber('--gateway-port', options.gatewayPort, 0, 65_535),
      nodes: wholeNumber('--nodes', options.nodes, 1, 1000),
      ...(options.slots === undefined ? {} : { slots: wholeNumber('--slots', options.slots, 1, 100_000) }),
      ...(options.apiKey === undefined ? {} : { apiKeys: options.apiKey }),
      log: fileLog(pathsIn(dir).log, options.logLevel),
    })
  } catch (error) {
    if (error instanceof Exit) throw error
    if ((error as { code?: unknown }).code === 'EADDRINUSE') {
      const port = (error as { port?: number }).port
      throw new Exit(
        exit.failed,
        `port ${port ?? ''} is in use. Is another factory up? Choose another with --port and --gateway-port (0 takes a free one).`,
      )
    }
    throw new Exit(exit.failed, messageOf(error))
  }
}

/** The first of SIGINT, SIGTERM, SIGHUP. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })
}

async function stop(factory: Factory): Promise<void> {
  console.log('\nstopping: running jobs checkpoint and are suspended; press Ctrl-C again to stop at once')
  const hurry = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => hurry.abort())
  await factory.stop({ hurry: hurry.signal })
  console.log('stopped; the next `millwright up` resumes')
  process.exit(exit.ok)
}
