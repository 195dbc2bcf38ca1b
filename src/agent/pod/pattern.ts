import { createContext, Script } from 'node:vm'
import { OperatingError } from '../../base/errors.ts'
import type { ProgressLine } from '../contract.ts'
import { matchProgressLine } from '../progress.ts'

/**
 * The job's own regular expression over its log. A pattern may backtrack for ever on the wrong line, and this is the
 * agent's thread: all lines of a look get a tenth of a second together.
 */
export function createPatternReader(pattern: string): (lines: readonly string[]) => ProgressLine[] {
  const box = createContext({ pattern: compile(pattern), match: matchProgressLine, lines: [] as readonly string[] })
  const script = new Script('lines.map((line) => match(pattern, line)).filter((found) => found !== undefined)')
  return (lines) => {
    if (lines.length === 0) return []
    box['lines'] = lines.map((line) => line.slice(0, 2000))
    try {
      return script.runInContext(box, { timeout: 100 })
    } catch (error) {
      throw new OperatingError(
        'pattern-too-slow',
        'give-up',
        `the progress pattern /${pattern.slice(0, 100)}/ takes too long on this log; write it without nested repetition`,
        { cause: error },
      )
    }
  }
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern)
  } catch (error) {
    throw new OperatingError('invalid', 'give-up', `the progress pattern is not a regular expression: ${String(error)}`)
  }
}
