import { diskFull, isDiskFull, messageOf, OperatingError } from '../../base/errors.ts'
import { type Factory, type FactoryConfig, startFactory } from '../../runtime/factory.ts'
import { fileLog } from '../../runtime/log.ts'
import { factoryDir, pathsIn } from '../../runtime/paths.ts'
import { wholeNumber } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'
import { makeFolder, whyUnusable } from '../folder.ts'
import type { Global } from '../global.ts'
import { outliveReader, paint, shortList } from '../output.ts'
import { readKeys } from '../read-keys.ts'

interface UpOptions {
  host: string
  port: string
  gatewayPort: string
  nodes: string
  slots?: string
  apiKey?: string[]
  apiKeyFile?: string
  tlsCert?: string
  tlsKey?: string
  tlsHost: string[]
  logLevel: string
}

export async function up(options: UpOptions, global: Global): Promise<void> {
  const started = performance.now()
  const dir = factoryDir(global.dir)
  if (!['debug', 'info', 'warn', 'error'].includes(options.logLevel)) {
    throw new Exit(exit.usage, `--log-level: found "${options.logLevel}"; allowed are debug, info, warn, error.`)
  }
  makeFolder(dir)
  outliveReader()
  const factory = await start(dir, options)
  for (const warning of factory.warnings) console.error(paint.yellow(`warning: ${warning}`))
  const lines = [
    `${paint.bold('millwright')} is up in ${Math.round(performance.now() - started)} ms`,
    `  API      ${factory.url}`,
    `  gateway  ${factory.gatewayUrl}/v1`,
    `  nodes    ${factory.nodes.join(', ')}`,
    `  folder   ${dir}`,
    ...(factory.resumed > 0
      ? [`  resumed  ${factory.resumed} job${factory.resumed > 1 ? 's' : ''} of the last stop`]
      : []),
    ...(factory.adopted > 0
      ? [
          `  adopted  ${factory.adopted} pod${factory.adopted > 1 ? 's' : ''} that ran on since the last factory was killed`,
        ]
      : []),
    ...(factory.url.startsWith('https:')
      ? [
          `  TLS      on ${options.host}; \`millwright kubeconfig\` makes what \`millwright --kubeconfig\` needs elsewhere`,
        ]
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
      apiKeys: keysIn(options),
      tls: tlsIn(options),
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
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
      throw new Exit(exit.failed, `${whyUnusable((error as NodeJS.ErrnoException).path ?? dir, error)}.`)
    if (isDiskFull(error) && !(error instanceof OperatingError))
      throw new Exit(exit.failed, diskFull(dir, error).message)
    const isWrongLine = error instanceof OperatingError && wrongLine.has(error.code)
    throw new Exit(isWrongLine ? exit.usage : exit.failed, `${messageOf(error)}${isWrongLine ? '.' : ''}`)
  }
}

/** Failures that another command line mends. */
const wrongLine: ReadonlySet<string> = new Set(['not-loopback', 'bad-tls', 'bad-api-key'])

function keysIn({ apiKey, apiKeyFile }: UpOptions): string[] | undefined {
  if (apiKeyFile === undefined) return apiKey
  return [...(apiKey ?? []), ...readKeys('--api-key-file', apiKeyFile)]
}

function tlsIn({ tlsCert, tlsKey, tlsHost }: UpOptions): FactoryConfig['tls'] {
  if (tlsCert !== undefined && tlsKey !== undefined) return { certFile: tlsCert, keyFile: tlsKey, names: tlsHost }
  if (tlsCert !== undefined) throw new Exit(exit.usage, '--tls-cert needs its key; give --tls-key FILE.')
  if (tlsKey !== undefined) throw new Exit(exit.usage, '--tls-key needs its certificate; give --tls-cert FILE.')
  if (tlsHost.length > 0) throw new Exit(exit.usage, '--tls-host goes with --tls-cert FILE and --tls-key FILE.')
  return undefined
}

/** The first of SIGINT, SIGTERM, SIGHUP. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })
}

const patienceMs = 2000

async function stop(factory: Factory): Promise<void> {
  console.log('\nstopping: running jobs checkpoint and are suspended; press Ctrl-C again to stop at once')
  const hurry = new AbortController()
  const sinceMs = performance.now()
  let said = ''
  const waiting = (pods: readonly string[]) => {
    if (hurry.signal.aborted || performance.now() - sinceMs < patienceMs) return
    const text = shortList(pods)
    if (text !== said) console.log(`waiting for ${text} to end; Ctrl-C again kills ${pods.length > 1 ? 'them' : 'it'}`)
    said = text
  }
  const kill = () => {
    if (!hurry.signal.aborted) console.log('\nkilling what still runs')
    hurry.abort()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, kill)
  const warn = (sentence: string) => console.error(paint.yellow(`warning: ${sentence}`))
  try {
    await factory.stop({ hurry: hurry.signal, waiting, warn })
    console.log('stopped; the next `millwright up` resumes')
    process.exit(exit.ok)
  } catch (error) {
    console.error(`millwright: stopped, but not everything ended as it should: ${messageOf(error)}`)
    process.exit(exit.failed) // whatever did not stop
  }
}
