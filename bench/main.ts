import { availableParallelism } from 'node:os'
import type { Row } from './row.ts'

/** Each bench measures one concern and prints nothing; this file prints one table, or JSON lines. */
const benches: Record<string, () => Promise<{ rows(): Promise<Row[]> | AsyncIterable<Row> }>> = {
  store: () => import('./store.ts'),
  checkpoints: () => import('./agent.ts'),
  factory: () => import('./factory.ts'),
  recovery: () => import('./recovery.ts'),
  serving: () => import('./serving.ts'),
  scheduler: () => import('./scheduler.ts'),
  contended: () =>
    import('./scheduler/contended.ts').then(({ contendedRows }) => ({ rows: async () => contendedRows() })),
  philly: () => import('./scheduler/philly.ts'),
  kueue: () => import('./scheduler/kueue.ts').then(({ kueueRows }) => ({ rows: async () => kueueRows() })),
  forecast: () => import('./forecast.ts'),
  histories: () => import('./histories.ts').then(({ historyRows }) => ({ rows: historyRows })),
  ettr: () =>
    import('./ettr.ts').then(({ ettrRows }) => ({
      rows: () => ettrRows({ seeds: numberGiven('seeds', 30, 2), nodes: numberGiven('nodes', 2, 1) }),
    })),
  memory: () =>
    import('./memory.ts').then(({ memoryRows }) => ({ rows: () => memoryRows(numberGiven('days', 54, 1)) })),
  elastic: () =>
    import('./elastic.ts').then(({ elasticRows }) => ({
      rows: () => elasticRows({ seeds: numberGiven('seeds', 4, 2), days: numberGiven('days', 2, 1) }),
    })),
  requests: () => import('./requests.ts'),
  hunt: () =>
    import('./hunt/rows.ts').then(({ huntRows }) => ({ rows: () => huntRows(numberGiven('histories', 2000, 1)) })),
  fidelity: () => import('./scheduler/fidelity.ts'),
  moves: () => import('./scheduler/moves.ts').then(({ rows }) => ({ rows: () => rows(counts[0]) })),
  cycles: () =>
    import('./scheduler/cycles.ts').then(({ cycleRows }) => ({
      rows: async () => cycleRows(counts[0] ?? 100_000, counts[1]),
    })),
}

const words = process.argv.slice(2)
if (words[0] === 'crash') await crash(Number(words[1] ?? 20_000))
if (words[0] === 'mutants') await mutants(words.slice(1))
if (words[0] === 'planted') await planted(words.slice(1))
if (words[0] === 'hashes') await hashes(words.slice(1).map(Number))
if (words[0] === 'whole') await whole()
const json = words.includes('--json')
/** `npm run bench -- cycles 10000000 5000`: how much of it, from which seed on. */
const counts = words.filter((word) => /^\d+$/.test(word)).map(Number)
const wanted = words.filter((word) => !word.startsWith('-') && !/^\d+$/.test(word))
const unknown = wanted.filter((word) => !(word in benches))
if (unknown.length > 0) {
  console.error(`bench: no bench is called "${unknown[0]}"; there are ${Object.keys(benches).join(', ')}`)
  process.exit(2)
}

/** Run only when named, with how long they take on one core of a quiet machine, by default. */
const slow: Record<string, string> = {
  moves: 'hours',
  kueue: 'a quarter of an hour',
  ettr: '--seeds=30 --nodes=2: hours, six minutes to half an hour a row',
  memory: '--days=54: more than an hour',
  elastic: '--seeds=4 --days=2: six minutes',
  hunt: '--histories=2000: a quarter of an hour; with 220000, which reach its bar, a day',
}

if (words.includes('--help')) {
  console.log('usage: npm run bench -- [NAME...] [--json] [--NAME=NUMBER...]\n')
  for (const name of Object.keys(benches)) console.log(`  ${name.padEnd(12)} ${slow[name] ?? ''}`.trimEnd())
  console.log('\nWithout a name all are run that have no time beside them; the others take so long on one core.')
  process.exit(0)
}

let missed = 0
if (!json) console.log(line(['row', 'figure', 'bar', '', 'measured beside it']))
for (const [name, load] of Object.entries(benches)) {
  if (wanted.length === 0 ? name in slow : !wanted.includes(name)) continue
  for await (const row of await (await load()).rows()) {
    if (!row.ok) missed += 1
    if (json) console.log(JSON.stringify(row))
    else
      console.log(line([row.row, `${round(row.value)} ${row.unit}`, row.bar, row.ok ? 'ok' : 'MISSED', row.peer ?? '']))
  }
}
if (!json) console.log(missed === 0 ? '\nno bar was missed' : `\n${missed} bar(s) missed`)

/** `--NAME=VALUE`. */
function given(args: readonly string[], option: string): string | undefined {
  return args.find((word) => word.startsWith(`--${option}=`))?.slice(option.length + 3)
}

function numberGiven(option: string, otherwise: number, least: number): number {
  const text = given(words, option)
  const number = Number(text ?? otherwise)
  if (Number.isInteger(number) && number >= least) return number
  console.error(`bench: --${option}=${text} is no whole number from ${least} on`)
  process.exit(2)
}

function line(cells: string[]): string {
  const widths = [58, 20, 26, 7, 0]
  return cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join(' ')
    .trimEnd()
}

function round(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

/** For another process, which compares them. */
async function hashes(seeds: readonly number[]): Promise<never> {
  const { hashesOf } = await import('./histories.ts')
  process.stdout.write(JSON.stringify(await hashesOf(seeds)))
  process.exit(0)
}

/** For another process, which looks at what it takes. */
async function whole(): Promise<never> {
  const { playWhole } = await import('./ettr.ts')
  process.stdout.write(JSON.stringify(await playWhole(numberGiven('days', 1, 1))))
  process.exit(0)
}

/** `npm run bench -- crash 20000`: kills a writing store so many times, at random moments and named points. */
async function crash(kills: number): Promise<never> {
  const { crashRows } = await import('./store.ts')
  const rows = await crashRows(kills)
  for (const row of rows)
    console.log(line([row.row, `${round(row.value)} ${row.unit}`, row.bar, row.ok ? 'ok' : 'MISSED']))
  process.exit(rows.every((row) => row.ok) ? 0 : 1)
}

/** `npm run bench -- mutants [ROOM...] [--one-in=N] [--runners=N] [--incremental]`: mutation testing of the scheduler. */
async function mutants(args: string[]): Promise<never> {
  process.env['MILLWRIGHT_MUTANTS_ONE_IN'] = given(args, 'one-in') ?? '1'
  const { allRooms, mutantRows } = await import('./mutants.ts')
  const rooms = args.filter((word) => !word.startsWith('-'))
  const unknown = rooms.find((word) => !allRooms.includes(word))
  if (unknown !== undefined) {
    console.error(`bench: the scheduler has no room "${unknown}"; there are ${allRooms.join(', ')}`)
    process.exit(2)
  }
  const runners = Number(given(args, 'runners') ?? availableParallelism())
  const isIncremental = args.includes('--incremental')
  let isEnough = true
  for await (const row of mutantRows({ rooms: rooms.length === 0 ? allRooms : rooms, runners, isIncremental })) {
    isEnough &&= row.ok
    console.log(line([row.row, `${round(row.value)} ${row.unit}`, row.bar, row.ok ? 'ok' : 'MISSED', row.peer ?? '']))
  }
  process.exit(isEnough ? 0 : 1)
}

/** `npm run bench -- planted [NAME...] [--minutes=N] [--from=SEED]`: bugs planted in the control plane, and who finds them. */
async function planted(args: string[]): Promise<never> {
  const { plantedRows } = await import('./planted.ts')
  const { allPlanted } = await import('./planted/bundle.ts')
  const names = args.filter((word) => !word.startsWith('-'))
  const all = allPlanted()
  const unknown = names.find((word) => !all.includes(word))
  if (unknown !== undefined) {
    console.error(`bench: test/planted has no "${unknown}"; there are ${all.join(', ')}`)
    process.exit(2)
  }
  const extent = { seconds: 60 * Number(given(args, 'minutes') ?? 10), from: Number(given(args, 'from') ?? 1) }
  const isJson = args.includes('--json')
  let isEnough = true
  if (!isJson) console.log(line(['row', 'CPU time', 'bar', '', 'by which rule, after how many histories']))
  try {
    for await (const row of plantedRows({ names: names.length === 0 ? all : names, ...extent })) {
      isEnough = row.ok
      const cells = [row.row, `${round(row.value)} ${row.unit}`, row.bar, row.ok ? 'ok' : 'MISSED', row.peer ?? '']
      console.log(isJson ? JSON.stringify(row) : line(cells))
    }
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(2)
  }
  process.exit(isEnough ? 0 : 1)
}
