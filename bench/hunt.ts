import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isLarge, largeSaid } from './hunt/large.ts'
import { Player } from './hunt/player.ts'

/**
 * `npm run hunt -- [--minutes N | --seeds N] [--from SEED] [--once] [--shrink SECONDS] [--processes N] [--json]`: plays random
 * histories of the factory on virtual time until the time is up, and says which broke a rule. A broken one is made as small as
 * it can be and still break that rule, and written to `reports/hunt/SEED.json`, in the form of `test/seeds`.
 */
const help = `usage: npm run hunt -- [options]

  --minutes N        play for so long (default 1)
  --seeds N          play so many instead
  --from SEED        the first seed (default: drawn)
  --once             play each once, not twice to compare their traces
  --shrink SECONDS   longest that what breaks a rule is made smaller (default 60; 0: it is kept whole)
  --json             sum up as JSON; all else goes to standard error
  --processes N      so many play at once (default: one for each core)

\`millwright replay SEED\` plays one again and says all that happens.
`

const sayEveryMs = 600_000

interface Wishes {
  minutes: number
  seeds: number
  from: number
  processes: number
  isTwice: boolean
  isJson: boolean
  shrinkSeconds: number
}

process.exitCode = await hunt(read(process.argv.slice(2)))

function read(args: string[]): Wishes {
  const { values } = parsed(args)
  if (values.help === true) {
    console.log(help)
    process.exit(0)
  }
  const number = (name: 'minutes' | 'seeds' | 'from' | 'shrink' | 'processes', fallback: number): number => {
    const text = values[name]
    const found = text === undefined ? fallback : Number(text)
    if (text?.trim() === '' || !(found >= 0)) stop(`--${name} is a number, not "${text}"`)
    return found
  }
  const whole = (name: 'from' | 'processes', fallback: number): number => {
    const found = number(name, fallback)
    if (!Number.isSafeInteger(found) || found < 1) stop(`--${name} is a whole number from 1 on, not "${found}"`)
    return found
  }
  return {
    minutes: number('minutes', 1),
    seeds: number('seeds', Number.POSITIVE_INFINITY),
    from: whole('from', 1 + Math.floor(Math.random() * 1e9)),
    processes: whole('processes', availableParallelism()),
    isTwice: values.once !== true,
    isJson: values.json === true,
    shrinkSeconds: number('shrink', 60),
  }
}

function parsed(args: string[]) {
  try {
    const text = { type: 'string' } as const
    const options = { minutes: text, seeds: text, from: text, shrink: text, processes: text } as const
    const flag = { type: 'boolean' } as const
    return parseArgs({ args, options: { ...options, once: flag, json: flag, help: { ...flag, short: 'h' } } })
  } catch (error) {
    return stop(error instanceof Error ? error.message : String(error))
  }
}

function stop(message: string): never {
  console.error(`hunt: ${message}\n\n${help}`)
  process.exit(2)
}

async function hunt({ minutes, seeds, from, processes, isTwice, isJson, shrinkSeconds }: Wishes): Promise<number> {
  const startedMs = performance.now()
  const untilMs = startedMs + (seeds === Number.POSITIVE_INFINITY ? minutes * 60_000 : Number.POSITIVE_INFINITY)
  const say = isJson ? console.error : console.log
  const sums = { histories: 0, large: 0, broken: 0, writes: 0, faults: 0, requests: 0, leaders: 0, virtualMs: 0 }
  const players = new Set<Player>()
  let isOver = false
  let next = from
  let saidMs = startedMs
  process.on('SIGINT', () => {
    if (isOver) for (const player of players) player.kill()
    if (isOver) process.exit(130)
    isOver = true
    for (const player of players) player.hurry()
  })

  async function playOn(player: Player): Promise<void> {
    players.add(player)
    while (next < from + seeds && performance.now() < untilMs && !isOver) {
      const seed = next++
      const told = await player.play({ seed, isTwice, shrinkSeconds })
      sums.histories++
      if (told.violation !== undefined) sums.broken++
      if (isLarge(told)) sums.large++
      for (const name of ['writes', 'faults', 'requests', 'leaders', 'virtualMs'] as const) sums[name] += told[name]
      for (const line of told.report) say(line)
      if (performance.now() < saidMs + sayEveryMs) continue
      saidMs = performance.now()
      say(summary())
    }
    player.end()
  }

  function summary(): string {
    const seconds = (performance.now() - startedMs) / 1000
    const hours = sums.virtualMs / 3_600_000
    const rate = `${sums.histories} histories from seed ${from} in ${seconds.toFixed(0)} s (${(sums.histories / seconds).toFixed(2)}/s)`
    const what = `${sums.writes} writes, ${sums.faults} faults, ${sums.requests} requests, ${sums.leaders} leaders, ${hours.toFixed(0)} virtual hours`
    return `${rate}; ${sums.large} of them of ${largeSaid}; ${what}; ${sums.broken === 0 ? 'no rule was broken' : `${sums.broken} broke a rule`}`
  }

  await Promise.all(Array.from({ length: Math.min(processes, seeds) }, () => playOn(new Player())))
  if (isJson) console.log(JSON.stringify({ from, seconds: (performance.now() - startedMs) / 1000, ...sums }))
  else console.log(summary())
  return sums.broken === 0 ? 0 : 1
}
