import { health } from '../model/health.ts'
import type { ProgressLine } from './contract.ts'
import { createLossWatch, type LossSpike } from './loss.ts'
import { createPace, type Pace } from './pace.ts'

/** What the lines of MILLWRIGHT_PROGRESS add up to. */
export interface Progress {
  step?: number
  steps?: number
  stepAtMs?: number
  firstStepAtMs?: number
  loss?: number
  lossSpike?: LossSpike
  stepSeconds?: number
  busySeconds?: number | undefined
  /** Of all its regroupings together. */
  regroupSeconds?: number
  pace?: Pace
  samplesPerSecond?: number
  tokensPerSecond?: number
  restoredStep?: number
  stopped?: boolean
  /** Seconds that training stood still for the checkpoint of a step. */
  stalls: Map<number, number>
}

/**
 * Folds progress lines, and says how long to wait for the next. Times come from the caller. A pod whose first
 * steps do not come within `firstStepSeconds` hangs. The loss is watched where `lossSpikeFactor` says so.
 */
export function createProgress(firstStepSeconds?: number, lossSpikeFactor?: number) {
  const now: Progress = { stalls: new Map() }
  const recent: Sample[] = []
  /** Of steps since ranks last left or joined: with more of them, or fewer, each has another part of the work. */
  const busyRecent: number[] = []
  const addToPace = createPace()
  const watchLoss = lossSpikeFactor === undefined ? undefined : createLossWatch(lossSpikeFactor)
  let stepsSeen = 0
  /** When the wait for the next step began. */
  let waitingSinceMs: number | undefined
  let longestGapMs = 0
  let isHung = false
  /** Some lines were there before anybody looked. */
  let hasFound = false

  function add(
    line: ProgressLine,
    atMs: number,
    isTimed = true,
  ): 'first-step' | 'stopped' | 'checkpoint' | 'step' | 'nothing' {
    if (line.steps !== undefined) now.steps = line.steps
    if (line.restored !== undefined) now.restoredStep = line.restored
    if (line.checkpoint === true && line.step !== undefined) {
      if (line.stallSeconds !== undefined) remember(now.stalls, line.step, line.stallSeconds)
      waitingSinceMs = atMs
      return 'checkpoint'
    }
    if (line.stopped !== undefined) {
      now.stopped = true
      return 'stopped'
    }
    return line.step === undefined ? 'nothing' : addStep(line, line.step, atMs, isTimed)
  }

  function addStep(line: ProgressLine, step: number, atMs: number, isTimed: boolean): 'first-step' | 'step' {
    const first = now.firstStepAtMs === undefined
    if (first) now.firstStepAtMs = atMs
    if (waitingSinceMs !== undefined && stepsSeen > 0) seeGap(atMs - waitingSinceMs)
    stepsSeen += 1
    waitingSinceMs = atMs
    isHung = false
    now.step = step
    now.stepAtMs = atMs
    if (line.regroupSeconds !== undefined && line.regroupSeconds > 0) {
      now.regroupSeconds = (now.regroupSeconds ?? 0) + line.regroupSeconds
      busyRecent.length = 0
    }
    if (line.loss !== undefined) addLoss(line.loss, step, atMs)
    const pace = isTimed ? addToPace(step, atMs) : undefined
    if (pace !== undefined) now.pace = pace
    const { seconds, busySeconds, samples = 0, tokens = 0 } = line
    recent.push({ step, atMs: isTimed ? atMs : undefined, seconds, samples, tokens })
    if (recent.length > samplesMax) recent.shift()
    now.busySeconds = busySecondsWith(busySeconds)
    derive()
    return first ? 'first-step' : 'step'
  }

  /**
   * Lines that were there before this agent looked: when they came nobody knows. Those up to the step that was reported are
   * history, which that Report holds. Returns whether a step came since.
   */
  function find(lines: readonly ProgressLine[], atMs: number): boolean {
    hasFound = true
    const { step, stepAtMs = atMs } = now
    const reported = step === undefined ? -1 : lines.findLastIndex((line) => line.step === step && isStep(line))
    for (const line of lines.slice(0, reported + 1)) addHistory(line, stepAtMs)
    const since = lines.slice(reported + 1)
    for (const line of since) add(line, atMs, false)
    return since.some(isStep)
  }

  function addHistory(line: ProgressLine, atMs: number): void {
    if (line.steps !== undefined) now.steps = line.steps
    if (line.step === undefined) return
    if (!isStep(line)) {
      if (line.stallSeconds !== undefined) remember(now.stalls, line.step, line.stallSeconds)
      return
    }
    stepsSeen += 1
    // What is usual, and how many in a row were not.
    if (line.loss !== undefined) watchLoss?.(line.loss, line.step, atMs)
  }

  /** One that is no number is none that could be told. The first spike stays: all that follows from it is void. */
  function addLoss(loss: number, step: number, atMs: number): void {
    if (Number.isFinite(loss)) now.loss = loss
    const spike = watchLoss?.(loss, step, atMs)
    if (spike !== undefined) now.lossSpike ??= spike
  }

  /** One longer than the patience is the job's only if it was taken for a hang meanwhile: else the watcher slept. */
  function seeGap(gapMs: number): void {
    if (isHung || gapMs <= (patienceMs() ?? Number.POSITIVE_INFINITY)) longestGapMs = Math.max(longestGapMs, gapMs)
  }

  function busySecondsWith(busySeconds: number | undefined): number | undefined {
    if (busySeconds !== undefined) busyRecent.push(busySeconds)
    if (busyRecent.length > busySamplesMax) busyRecent.shift()
    return busyRecent.length < stepsKnown ? undefined : sum(busyRecent) / busyRecent.length
  }

  function derive(): void {
    const measured = recent.map((sample) => sample.seconds).filter((seconds) => seconds !== undefined)
    if (measured.length > 0) now.stepSeconds = sum(measured) / measured.length
    const timed = recent.flatMap((sample) => (sample.atMs === undefined ? [] : [{ ...sample, atMs: sample.atMs }]))
    const oldest = timed[0]
    const newest = timed.at(-1)
    if (oldest === undefined || newest === undefined) return
    const steps = newest.step - oldest.step
    const wallSeconds = (newest.atMs - oldest.atMs) / 1000
    // What an earlier agent made of more steps is better than one gap.
    const isKnown = now.stepSeconds !== undefined && timed.length < stepsKnown
    if (measured.length === 0 && steps > 0 && wallSeconds > 0 && !isKnown) now.stepSeconds = wallSeconds / steps
    // The first sample of the window was made before the window began.
    const later = timed.slice(1)
    const spanSeconds = wallSeconds > 0 && later.length > 3 ? wallSeconds : (now.stepSeconds ?? 0) * later.length
    if (spanSeconds <= 0) return
    const samples = sum(later.map((sample) => sample.samples))
    const tokens = sum(later.map((sample) => sample.tokens))
    if (samples > 0) now.samplesPerSecond = samples / spanSeconds
    if (tokens > 0) now.tokensPerSecond = tokens / spanSeconds
  }

  /**
   * After how long without a step the pod hangs: three mean steps, at least 3 s, once three steps were seen; until then
   * as long as its first step may take. A job that has been seen to pause longer (evaluation, a slow checkpoint of another rank)
   * is given half as much again.
   */
  function patienceMs(): number | undefined {
    if (now.stopped === true) return undefined
    // Steps that were found tell no pace by themselves.
    const isPaceKnown = stepsSeen >= stepsKnown && (now.stepSeconds !== undefined || !hasFound)
    if (!isPaceKnown) return firstStepSeconds === undefined ? undefined : 1000 * firstStepSeconds
    const ofSteps = 1000 * health.hang.at * (now.stepSeconds ?? 0)
    return Math.max(ofSteps, 1000 * health.hangLeast.at, longestGapMs * health.hangPaused.at)
  }

  return {
    now: now as Readonly<Progress>,
    add: (line: ProgressLine, atMs: number) => add(line, atMs),
    find,
    patienceMs,
    /** It is taken for hung until the next step. */
    hang(): void {
      isHung = true
    },
    /** Goes on from what an earlier agent reported. */
    resume(known: Reported): void {
      const { step, stepAtMs, firstStepAtMs, stepSeconds, regroupSeconds, lossSpike, restoredStep, stopped } = known
      const all = { step, stepAtMs, firstStepAtMs, stepSeconds, regroupSeconds, lossSpike, restoredStep, stopped }
      Object.assign(now, Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    },
  }
}

/** What the next agent goes on from. */
type Reported = { [name in keyof Omit<Progress, 'stalls'>]?: Progress[name] | undefined }

function isStep({ step, checkpoint, stopped }: ProgressLine): boolean {
  return step !== undefined && checkpoint !== true && stopped === undefined
}

interface Sample {
  step: number
  /** Left out where nobody saw it come. */
  atMs: number | undefined
  seconds: number | undefined
  samples: number
  tokens: number
}

const samplesMax = 32
/** From so many steps on a pace is known, and with it how long none may come: whoever stands still then is not slow, but hangs. */
const stepsKnown = 3
/** A rank that turns slow is known by so many steps. */
const busySamplesMax = 8

function remember(map: Map<number, number>, key: number, value: number): void {
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > 64 && oldest !== undefined) map.delete(oldest)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/**
 * One line of the progress file; anything that is not one is nothing. Numbers that are not finite are left out, but for the loss:
 * one that is NaN says much. JSON has no word for that; Python writes NaN and Infinity, JavaScript null.
 */
export function parseProgressLine(text: string): ProgressLine | undefined {
  const value = readJson(text) ?? readJson(text.replace(notFinite, '$1"$2"'))
  if (typeof value !== 'object' || value === null) return undefined
  const read = Object.entries(value)
  const line: ProgressLine = {}
  for (const [name, field] of read) {
    if (name === 'checkpoint' && field === true) line.checkpoint = true
    else if (name === 'loss' && (field === null || notNumbers.includes(field))) line.loss = Number.NaN
    else if (name === 'loss' && typeof field === 'number') line.loss = field
    else if (typeof field === 'number' && Number.isFinite(field)) setNumber(line, name, field)
  }
  return Object.keys(line).length > 0 ? line : undefined
}

/** As PyTorch and C print it. */
const isNotNumber = /^[+-]?(nan|inf|infinity)$/i
const notNumbers: readonly unknown[] = ['NaN', 'Infinity', '-Infinity']
/** As a value, after its colon. */
const notFinite = /(:\s*)(NaN|-?Infinity)(?=\s*[,}])/g

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Named groups of the job's own pattern over a log line. */
export function matchProgressLine(pattern: RegExp, text: string): ProgressLine | undefined {
  const groups = pattern.exec(text)?.groups
  if (groups === undefined) return undefined
  const line: ProgressLine = {}
  for (const [name, field] of Object.entries(groups)) {
    const number = Number(field)
    if (field !== undefined && (Number.isFinite(number) || (name === 'loss' && isNotNumber.test(field))))
      setNumber(line, name, number)
  }
  return line.step === undefined ? undefined : line
}

function setNumber(line: ProgressLine, name: string, value: number): void {
  const whole = Number.isInteger(value) && value >= 0
  if (name === 'step' || name === 'steps' || name === 'restored' || name === 'stopped') {
    if (whole) line[name] = value
  } else if (
    name === 'loss' ||
    name === 'samples' ||
    name === 'tokens' ||
    name === 'seconds' ||
    name === 'busySeconds' ||
    name === 'regroupSeconds' ||
    name === 'stallSeconds'
  )
    line[name] = value
}
