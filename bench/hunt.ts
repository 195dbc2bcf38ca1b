import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { seededRandom } from '../src/base/random.ts'
import { drawHistory } from '../src/twin/hunt/history.ts'
import { type Played, play } from '../src/twin/hunt/play.ts'

/**
 * `npm run hunt -- [--minutes N | --seeds N] [--from SEED] [--twice] [--log SEED]`: plays random histories of the factory
 * on virtual time until the time is up, and says which broke a rule. A broken one is written to `reports/hunt/SEED.json`,
 * in the form of `test/seeds`.
 */
const help = `usage: npm run hunt -- [options]

  --minutes N   play for so long (default 1)
  --seeds N     play so many instead
  --from SEED   the first seed (default: drawn)
  --twice       play each twice and compare their traces
  --log SEED    play this one alone and print every write, fault and log line of it
`

interface Wishes {
  minutes: number
  seeds: number
  from: number
  isTwice: boolean
  log: number | undefined
}

const wishes = read(process.argv.slice(2))
if (wishes.log !== undefined) tell(await play(wishes.log, { isTraced: true, onLine: (line) => console.log(line) }))
else process.exitCode = await hunt(wishes)

function read(args: string[]): Wishes {
  const { values } = parsed(args)
  if (values.help === true) {
    console.log(help)
    process.exit(0)
  }
  const number = (name: 'minutes' | 'seeds' | 'from' | 'log', fallback: number): number => {
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
    log: values.log === undefined ? undefined : number('log', 0),
  }
}

function parsed(args: string[]) {
  try {
    const text = { type: 'string' } as const
    const options = { minutes: text, seeds: text, from: text, log: text } as const
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

async function hunt({ minutes, seeds, from, isTwice }: Wishes): Promise<number> {
  const startedMs = performance.now()
  const untilMs = startedMs + (seeds === Number.POSITIVE_INFINITY ? minutes * 60_000 : Number.POSITIVE_INFINITY)
  const sums = { histories: 0, broken: 0, writes: 0, faults: 0, leaders: 0, virtualMs: 0 }
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
    sums.leaders += played.leaders
    sums.virtualMs += played.virtualMs
    if (played.violations.length === 0 && again.hash === played.hash) continue
    sums.broken++
    if (again.hash !== played.hash) console.log(`seed ${seed}: two runs differ: ${played.hash} and ${again.hash}`)
    tell(played)
    keep(played)
  }
  const seconds = (performance.now() - startedMs) / 1000
  const hours = sums.virtualMs / 3_600_000
  console.log(
    [
      `${sums.histories} histories from seed ${from} in ${seconds.toFixed(0)} s (${(sums.histories / seconds).toFixed(2)}/s)`,
      `${sums.writes} writes, ${sums.faults} faults, ${sums.leaders} leaders, ${hours.toFixed(0)} virtual hours`,
      sums.broken === 0 ? 'no rule was broken' : `${sums.broken} broke a rule`,
    ].join('; '),
  )
  return sums.broken === 0 ? 0 : 1
}

function tell({ seed, violations, log, state, hash }: Played): void {
  if (violations.length === 0) console.log(`seed ${seed}: no rule was broken (${hash})`)
  for (const { invariant, message, atMs } of violations)
    console.log(`seed ${seed} breaks "${invariant}" at ${new Date(atMs).toISOString()}: ${message}`)
  for (const line of violations.length === 0 ? [] : [...log.slice(-50), ...state]) console.log(line)
}

function keep({ seed, violations }: Played): void {
  const folder = join('reports', 'hunt')
  mkdirSync(folder, { recursive: true })
  const what = violations.map(({ message }) => message).join('; ')
  const text = JSON.stringify({ what, seed, history: drawHistory(seededRandom(seed)) }, null, 1)
  writeFileSync(join(folder, `${seed}.json`), `${text}\n`)
  console.log(`kept as ${join(folder, `${seed}.json`)}; npm run hunt -- --log ${seed} plays it again`)
}
