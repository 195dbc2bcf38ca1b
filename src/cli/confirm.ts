import { createInterface } from 'node:readline/promises'
import { Exit, exit } from './exit.ts'

/** Asks before running work is destroyed: says what, one line each. Without a terminal it takes a `--yes`. */
export async function confirmDestruction(lines: readonly string[]): Promise<void> {
  for (const line of lines) console.error(line)
  if (!process.stdin.isTTY) throw new Exit(exit.failed, 'this would destroy running work; say --yes to go on.')
  const ask = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await ask.question('Go on? [y/N] ')
  ask.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new Exit(exit.failed, 'nothing was changed.')
}
