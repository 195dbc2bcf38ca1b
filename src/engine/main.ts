#!/usr/bin/env node
import { UsageError } from './llama-cpp/options.ts'
import { runLlamaCpp } from './llama-cpp/run.ts'

const engines: Record<string, typeof runLlamaCpp> = { 'llama.cpp': runLlamaCpp }

/** Exit codes: 0 after a drain, 1 for a failure, 2 for a wrong command line. */
async function main(): Promise<void> {
  const [name, ...args] = process.argv.slice(2)
  const known = Object.keys(engines).join(', ')
  if (name === '--help' || name === '-h') return console.log(`millwright-engine NAME [OPTIONS], NAME one of: ${known}`)
  const run = name === undefined ? undefined : engines[name]
  if (run === undefined) throw new UsageError(`which engine? "${name ?? ''}" is not one of: ${known}`)
  await run(args, process.env)
}

main().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error)
  console.error(`millwright-engine: ${message}`)
  process.exit(error instanceof UsageError ? 2 : 1)
})
