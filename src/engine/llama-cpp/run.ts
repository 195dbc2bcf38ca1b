import { Seats } from '../seats.ts'
import { EngineServer } from '../server.ts'
import { importLlama, openModel } from './open.ts'
import { parseOptions, usageText } from './options.ts'

/**
 * Runs until a signal. Start-up is the time that a user waits when a service wakes from zero, so the order matters:
 * listen, load the library, and read our own request code while the library checks its binary in a child process.
 */
export async function runLlamaCpp(args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  if (args.includes('--help') || args.includes('-h')) return console.log(usageText)
  const options = parseOptions(args, env)
  const server = new EngineServer({ ...options, seats: options.parallel })
  drainOnSignals(server)
  const port = await server.listen()
  console.log(`llama.cpp engine on http://${hostInUrl(options.host)}:${port}, loading ${options.modelPath}`)
  const opening = openModel(await importLlama(), options)
  opening.catch(() => {}) // awaited below; until then its failure is not unhandled
  const { answers } = await import('../answers.ts')
  const model = await opening
  const seats = new Seats(model.seats, options.queue)
  server.ready({ model, seats, names: options.names, counters: { promptTokens: 0, tokensGenerated: 0 } }, answers)
  const took = `${Math.round(performance.now())} ms after the process started`
  console.log(`serving ${options.names.join(', ')}, ${model.seats} seats of ${model.contextTokens} tokens, ${took}`)
}

/** The first signal drains, the second ends at once. */
function drainOnSignals(server: EngineServer): void {
  let leaving = false
  const onSignal = () => {
    if (leaving) process.exit(1)
    leaving = true
    void server.leave().then(() => process.exit(0))
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
