import { createReadStream } from 'node:fs'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { factoryDir, pathsIn } from '../../runtime/paths.ts'
import type { Verdict } from '../../scheduler/contract.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { counted } from '../../scheduler/why/counted.ts'
import { DecisionReplay, type Difference, readDecisionLine } from '../../twin/replay/replay.ts'
import { oneOf, wholeNumber } from '../arguments.ts'
import { Exit, exit } from '../exit.ts'
import type { Global } from '../global.ts'
import { plain } from '../output.ts'
import { whyUnread } from '../read-text.ts'
import type { TwinReplayOptions } from './replay-twin.ts'

interface Options extends TwinReplayOptions {
  log?: boolean
}

/** Plays again what was played or decided before, by what it is called. Touches nothing. */
export async function replay(what: string | undefined, options: Options, global: Global): Promise<void> {
  const isSeed = what !== undefined && /^[0-9]+$/.test(what)
  const ending = what === undefined || isSeed ? '' : extname(what)
  const isScenario = ending === '.yaml' || ending === '.yml'
  const isOfTwin = isSeed || isScenario || ending === '.json'
  if (options.seed !== undefined && !isScenario) throw new Exit(exit.usage, '--seed goes with a scenario (YAML) alone.')
  if (options.tail !== undefined && !isOfTwin && options.log !== true)
    throw new Exit(exit.usage, 'of decisions --tail goes with --log.')
  if (what === undefined || !isOfTwin) return await replayDecisions(what, options, global)
  const { replayHistory, replayScenario, replaySeed } = await import('./replay-twin.ts')
  if (isSeed) await replaySeed(wholeNumber('seed', what, 0, Number.MAX_SAFE_INTEGER), options)
  else await (isScenario ? replayScenario : replayHistory)(what, options)
}

/** Tells a scheduler anew what the one of a factory was told, and compares what it says. */
async function replayDecisions(file: string | undefined, options: Options, global: Global): Promise<void> {
  const output = oneOf('--output', options.output, ['text', 'json'], 'text')
  const until = options.until === undefined ? Number.POSITIVE_INFINITY : wholeNumber('--until', options.until, 1, 1e9)
  const path = file ?? pathsIn(factoryDir(global.dir)).decisions
  const tail = options.tail === undefined ? undefined : wholeNumber('--tail', options.tail, 0, 1e6)
  const played = new DecisionReplay(() => createScheduler())
  const last: string[] = []
  let difference: Difference | undefined
  const torn: Torn = {}
  for await (const line of linesOf(path, torn)) {
    const before = played.cycles
    difference = played.play(line)
    if (options.log === true && played.cycles > before && 'verdicts' in line)
      for (const said of logged(played, line.verdicts)) {
        if (tail === undefined) console.log(plain(said))
        else if (last.push(said) > tail) last.shift()
      }
    if (difference !== undefined || played.cycles >= until) break
  }
  const { terms, cycles, verdicts, nowMs, scheduler } = played
  if (cycles === 0) throw new Exit(exit.failed, `${path} holds no decisions.`)
  if (difference === undefined && until !== Number.POSITIVE_INFINITY && cycles < until)
    throw new Exit(exit.usage, `--until ${until}: ${path} holds ${counted(cycles, 'cycle')}.`)
  for (const said of last) console.log(plain(said))
  const key = options.why === undefined ? undefined : options.why.includes('/') ? options.why : `default/${options.why}`
  const answer = key === undefined ? undefined : scheduler.why(key, nowMs)
  if (output === 'json')
    console.log(
      JSON.stringify(
        { terms, cycles, verdicts, same: difference === undefined, difference, tornLine: torn.line, why: answer },
        null,
        2,
      ),
    )
  else {
    const of = `${counted(verdicts, 'verdict')} in ${counted(cycles, 'cycle')} of ${counted(terms, 'term')}`
    const same = `${of}, until ${new Date(nowMs).toISOString()}: the same, in every word${torn.line === undefined ? '' : `; line ${torn.line}, the last, is half of one`}`
    console.log(plain(difference === undefined ? same : differenceSaid(difference, cycles)))
    if (answer !== undefined && answer.state !== 'unknown')
      console.log(plain(`${key}: ${answer.state}\n  ${answer.reason}: ${answer.message}`))
  }
  if (answer?.state === 'unknown') throw new Exit(exit.notFound, `nothing of it is called ${key} then.`)
  if (difference !== undefined)
    throw new Exit(exit.failed, 'this scheduler decides otherwise than the one that was recorded.')
}

/** The number of the last line, where that is half of one. */
interface Torn {
  line?: number
}

/** Of a factory that was killed, or whose disk was full, a line may be half of one; what follows begins anew. */
async function* linesOf(path: string, end: Torn): AsyncGenerator<NonNullable<ReturnType<typeof readDecisionLine>>> {
  let [number, torn] = [0, 0]
  try {
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      number++
      const line = readDecisionLine(text)
      if (torn > 0 && (line === undefined || 'inputs' in line))
        throw new Exit(exit.usage, `${path}:${torn}: is no line of a record of decisions.`)
      torn = line === undefined ? number : 0
      if (line !== undefined) yield line
    }
    if (torn > 0) end.line = torn
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof Exit || code === undefined) throw error
    throw new Exit(exit.usage, `cannot read ${path}: ${whyUnread(code)}.`)
  }
}

function logged({ cycles, nowMs }: DecisionReplay, verdicts: readonly Verdict[]): string[] {
  const at = new Date(nowMs).toISOString()
  return verdicts.map((verdict) => `${cycles} ${at} ${verdictSaid(verdict)}`)
}

function verdictSaid(verdict: Verdict): string {
  const who = `${verdict.kind} ${verdict.gang}#${verdict.attempt}`
  if (verdict.kind === 'wait')
    return [who, verdict.reason, verdict.message].filter((word) => word !== undefined).join(': ')
  if (verdict.kind === 'release') return who
  if (verdict.kind === 'resize') return `${who}: ${verdict.message}`
  const nodes = [...new Set(verdict.seats.members.map(({ node }) => node))].join(' ')
  if (verdict.kind === 'bind') return `${who}: on ${nodes}`
  return `${who}: on ${nodes}, when these have left: ${verdict.victims.map(({ gang }) => gang).join(' ')}`
}

function differenceSaid({ nowMs, recorded, decided }: Difference, cycles: number): string {
  const lines = (verdicts: readonly Verdict[]) =>
    verdicts.length === 0 ? ['  nothing'] : verdicts.map((one) => `  ${verdictSaid(one)}`)
  const head = `cycle ${cycles}, at ${new Date(nowMs).toISOString()}; recorded was`
  return [head, ...lines(recorded), 'decided now is', ...lines(decided)].join('\n')
}
