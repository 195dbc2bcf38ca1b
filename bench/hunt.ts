import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { seededRandom } from '../src/base/random.ts'
import { eventSaid } from '../src/twin/events.ts'
import { drawHistory } from '../src/twin/hunt/draw-history.ts'
import type { History } from '../src/twin/hunt/history.ts'
import { type Played, play } from '../src/twin/hunt/play.ts'
import { shrink } from '../src/twin/hunt/shrink.ts'

/**
 * `npm run hunt -- [--minutes N | --seeds N] [--from SEED] [--twice] [--shrink SECONDS]`: plays random histories of the
 * factory on virtual time until the time is up, and says which broke a rule. A broken one is made as small as it can be and
 * still break that rule, and written to `reports/hunt/SEED.json`, in the form of `test/seeds`.
 */
const help = `usage: npm run hunt -- [options]

  --minutes N        play for so long (default 1)
  --seeds N          play so many instead
  --from SEED        the first seed (default: drawn)
  --twice            play each twice and compare their traces
  --shrink SECONDS   longest that what breaks a rule is made smaller (default 60; 0: it is kept whole)

\`millwright replay SEED\` plays one again and says all that happens.
`

interface Wishes {
  minutes: number
  seeds: number
  from: number
  isTwice: boolean
  shrinkSeconds: number
}

process.exitCode = await hunt(read(process.argv.slice(2)))

function read(args: string[]): Wishes {
  const { values } = parsed(args)
  if (values.help === true) {
    console.log(help)
    process.exit(0)
  }
  const number = (name: 'minutes' | 'seeds' | 'from' | 'shrink', fallback: number): number => {
    const text = values[name]
    const found = text === undefined ? fallback : Number(text)
    if (!(found >= 0)) stop(`--${name} is a number, not "${text}"`)
    return found
  }
  return {
    minutes: number('minutes', 1),
    seeds: number('seeds', Number.POSITIVE_INFINITY),
    from: number('from', 1 + Math.floor(Math.random() * 1e9)),
    isTwice: values.twice === true,
    shrinkSeconds: number('shrink', 60),
  }
}

function parsed(args: string[]) {
  try {
    const text = { type: 'string' } as const
    const options = { minutes: text, seeds: text, from: text, shrink: text } as const
    const flag = { type: 'boolean' } as const
    return parseArgs({ args, options: { ...options, twice: flag, help: { ...flag, short: 'h' } } })
  } catch (error) {
    return stop(error instanceof Error ? error.message : String(error))
  }
}

function stop(message: string): never {
  console.error(`hunt: ${message}\n\n${help}`)
  process.exit(2)
}

async function hunt({ minutes, seeds, from, isTwice, shrinkSeconds }: Wishes): Promise<number> {
  const startedMs = performance.now()
  const untilMs = startedMs + (seeds === Number.POSITIVE_INFINITY ? minutes * 60_000 : Number.POSITIVE_INFINITY)
  const sums = { histories: 0, broken: 0, writes: 0, faults: 0, requests: 0, leaders: 0, virtualMs: 0 }
  let isOver = false
  process.once('SIGINT', () => {
    isOver = true
  })
  for (let seed = from; seed < from + seeds && performance.now() < untilMs && !isOver; seed++) {
    const played = await play(seed, { isTraced: isTwice })
    const again = isTwice ? await play(seed, { isTraced: true }) : played
    sums.histories++
    sums.writes += played.writes
    sums.faults += played.faults
    sums.requests += played.requests
    sums.leaders += played.leaders
    sums.virtualMs += played.virtualMs
    if (played.violations.length === 0 && again.hash === played.hash) continue
    sums.broken++
    if (again.hash !== played.hash) console.log(`seed ${seed}: two runs differ: ${played.hash} and ${again.hash}`)
    if (played.violations.length > 0) keep(await smallest(played, shrinkSeconds, () => isOver))
  }
  const seconds = (performance.now() - startedMs) / 1000
  const hours = sums.virtualMs / 3_600_000
  console.log(
    [
      `${sums.histories} histories from seed ${from} in ${seconds.toFixed(0)} s (${(sums.histories / seconds).toFixed(2)}/s)`,
      `${sums.writes} writes, ${sums.faults} faults, ${sums.requests} requests, ${sums.leaders} leaders, ${hours.toFixed(0)} virtual hours`,
      sums.broken === 0 ? 'no rule was broken' : `${sums.broken} broke a rule`,
    ].join('; '),
  )
  return sums.broken === 0 ? 0 : 1
}

/** What broke the rule, as small as it becomes within the time. */
async function smallest(
  { seed, violations }: Played,
  seconds: number,
  isOver: () => boolean,
): Promise<{ history: History; played: Played; how: string }> {
  const whole = drawHistory(seededRandom(seed))
  const rule = violations[0]?.invariant
  const untilMs = performance.now() + seconds * 1000
  const { history, plays, isMinimal } = await shrink(whole, {
    breaks: async (tried) => (await play(seed, { history: tried })).violations[0]?.invariant === rule,
    goesOn: () => performance.now() < untilMs && !isOver(),
  })
  const left = `${sizeOf(history)}, of ${sizeOf(whole)}`
  const how = isMinimal ? `nothing of it can be left out` : `the time was over, more might be left out`
  return { history, played: await play(seed, { history }), how: `${left}; ${how} (${plays} tries)` }
}

function sizeOf({ nodes, arrivals, faults }: History): string {
  return `${nodes.length} nodes, ${arrivals.length} jobs and services, ${faults.length} faults`
}

function keep({ history, played, how }: { history: History; played: Played; how: string }): void {
  const { seed, violations, startMs, events, last, moment } = played
  const folder = join('reports', 'hunt')
  const file = join(folder, `${seed}.json`)
  mkdirSync(folder, { recursive: true })
  const what = violations.map(({ message }) => message).join('; ')
  writeFileSync(file, `${JSON.stringify({ what, seed, history }, null, 1)}\n`)
  for (const { invariant, message } of violations) console.log(`seed ${seed} breaks "${invariant}": ${message}`)
  console.log(how)
  for (const event of last) console.log(`  ${eventSaid(event, startMs)}`)
  for (const line of moment.lines()) console.log(`  ${line}`)
  console.log(`kept as ${file}; millwright replay ${file} --until ${events} plays it again, --why NAME explains`)
}
