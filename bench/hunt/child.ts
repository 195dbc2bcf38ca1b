import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seededRandom } from '../../src/base/random.ts'
import { eventSaid } from '../../src/twin/events.ts'
import { drawHistory } from '../../src/twin/hunt/draw-history.ts'
import type { History } from '../../src/twin/hunt/history.ts'
import { type Played, play } from '../../src/twin/hunt/play.ts'
import { shrink } from '../../src/twin/hunt/shrink.ts'
import { type Asked, type Told, unfinished } from './told.ts'

/** Plays what its parent asks for, one after the other. */
process.on('message', async (asked: Asked) => process.send?.(await told(asked)))
let isOver = false
process.on('SIGINT', () => {
  isOver = true
})

async function told({ seed, isTwice = false, shrinkSeconds }: Asked): Promise<Told> {
  try {
    const played = await play(seed, { isTraced: isTwice })
    const { writes, faults, requests, leaders, virtualMs, violations, hash } = played
    const told = { writes, faults, requests, leaders, virtualMs, cpuSeconds: cpuSeconds() }
    const [first] = violations
    if (first !== undefined) {
      const report = shrinkSeconds === undefined ? [] : kept(await smallest(played, shrinkSeconds))
      return { ...told, violation: { rule: first.invariant, message: first.message }, report }
    }
    const again = isTwice ? (await play(seed, { isTraced: true })).hash : hash
    if (again === hash) return { ...told, report: [] }
    const message = `seed ${seed}: two runs differ: ${hash} and ${again}`
    return { ...told, violation: { rule: 'determinism', message }, report: [message] }
  } catch (error) {
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return unfinished('assertions', `seed ${seed} throws ${what}`, cpuSeconds())
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

interface Smallest {
  history: History
  played: Played
  how: string
}

/** What broke the rule, as small as it becomes within the time. */
async function smallest({ seed, violations }: Played, seconds: number): Promise<Smallest> {
  const whole = drawHistory(seededRandom(seed))
  const rule = violations[0]?.invariant
  const untilMs = performance.now() + seconds * 1000
  const { history, plays, isMinimal } = await shrink(whole, {
    breaks: async (tried) => (await play(seed, { history: tried })).violations[0]?.invariant === rule,
    goesOn: () => performance.now() < untilMs && !isOver,
  })
  const left = `${sizeOf(history)}, of ${sizeOf(whole)}`
  const how = isMinimal ? `nothing of it can be left out` : `the time was over, more might be left out`
  return { history, played: await play(seed, { history }), how: `${left}; ${how} (${plays} tries)` }
}

function sizeOf({ nodes, arrivals, faults }: History): string {
  return `${nodes.length} nodes, ${arrivals.length} jobs and services, ${faults.length} faults`
}

/** Writes it to a file, and says what broke. */
function kept({ history, played, how }: Smallest): string[] {
  const { seed, violations, startMs, events, last, moment } = played
  const folder = join('reports', 'hunt')
  const file = join(folder, `${seed}.json`)
  mkdirSync(folder, { recursive: true })
  const what = violations.map(({ message }) => message).join('; ')
  writeFileSync(file, `${JSON.stringify({ what, seed, history }, null, 1)}\n`)
  return [
    ...violations.map(({ invariant, message }) => `seed ${seed} breaks "${invariant}": ${message}`),
    how,
    ...last.map((event) => `  ${eventSaid(event, startMs)}`),
    ...moment.lines().map((line) => `  ${line}`),
    `kept as ${file}; millwright replay ${file} --until ${events} plays it again, --why NAME explains`,
  ]
}
