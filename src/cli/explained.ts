import { humanDuration } from '../api/age.ts'
import { conditionOf } from '../model/conditions.ts'
import type { InferenceService } from '../model/kinds/inference-service.ts'
import type { TrainingJob } from '../model/kinds/training-job.ts'
import { annotation, label } from '../model/names.ts'
import type { KindMap, KindName } from '../model/registry.ts'
import type { Why } from '../scheduler/contract.ts'
import { createScheduler } from '../scheduler/scheduler.ts'
import { counted } from '../scheduler/why/counted.ts'

/** Where objects are read from: the API of a factory, or what there was at a moment of a run on virtual time. */
export interface Objects {
  get<K extends KindName>(
    kind: K,
    ref: { name: string; namespace?: string | undefined },
  ): Promise<KindMap[K] | undefined>
  list<K extends KindName>(
    kind: K,
    options: { namespace?: string | undefined },
  ): Promise<{ items: readonly KindMap[K][] }>
}

export interface Explained {
  /** Where its job or service stands, in its own words. */
  standing: Standing | undefined
  /** What the scheduler says of each gang of it. */
  answers: readonly Why[]
}

/** Why a job, a service or a gang stands where it does; undefined where there is none of that name. */
export async function explained(
  objects: Objects,
  namespace: string,
  name: string,
  nowMs: number,
): Promise<Explained | undefined> {
  const gangs = (await objects.list('Gang', { namespace })).items
  const mine = gangs.filter((gang) => gang.metadata.name === name || gang.metadata.labels?.[label.service] === name)
  const standing = await standingOf(objects, namespace, name)
  if (mine.length === 0 && standing === undefined) return undefined
  const asked = standing?.isOver === true ? [] : mine
  const scheduler = asked.length > 0 ? await schedulerOf(objects, nowMs) : undefined
  const answers = asked.flatMap(
    (gang) => scheduler?.why(`${gang.metadata.namespace}/${gang.metadata.name}`, nowMs) ?? [],
  )
  return { standing, answers }
}

/** For programs. */
export function explainedValue({ standing, answers }: Explained): unknown {
  return answers.length === 0 ? standing : answers.length === 1 ? answers[0] : answers
}

/** For people. */
export function explainedLines({ standing, answers }: Explained, nowMs: number): string[] {
  // Of a job that waits for seats, the scheduler's answer is the same with more in it.
  const isSaidBelow = standing?.phase === 'Waiting' && answers.some((answer) => answer.state === 'waiting')
  const said = standing === undefined ? [] : linesOf(isSaidBelow ? { ...standing, message: undefined } : standing)
  return [...said, ...answers.flatMap((answer) => answerLines(answer, nowMs, standing !== undefined))]
}

/** It runs here, on what was listed, so that the answer is the same in every world. */
async function schedulerOf(objects: Objects, nowMs: number) {
  const scheduler = createScheduler()
  for (const kind of ['Queue', 'Pool', 'Node', 'Gang', 'Pod'] as const) {
    for (const object of (await objects.list(kind, {})).items)
      scheduler.apply({ kind, object } as Parameters<typeof scheduler.apply>[0])
  }
  scheduler.decide(nowMs)
  return scheduler
}

/** What the status of a job or service says. */
export interface Standing {
  kind: 'TrainingJob' | 'InferenceService'
  name: string
  phase: string
  reason?: string | undefined
  message?: string | undefined
  lastFailure?: { attempt: number; message: string; logTail?: string | undefined } | undefined
  /** Of that failure the others went on. */
  goesOn?: boolean | undefined
  hint?: string | undefined
  isOver: boolean
}

async function standingOf(objects: Objects, namespace: string, name: string): Promise<Standing | undefined> {
  const job = await objects.get('TrainingJob', { namespace, name })
  if (job !== undefined) return standingOfJob(job)
  const service = await objects.get('InferenceService', { namespace, name })
  return service === undefined ? undefined : standingOfService(service)
}

function standingOfJob({ metadata: { name, annotations }, spec, status }: TrainingJob): Standing {
  const phase = status?.phase ?? 'Pending'
  const isOver = phase === 'Succeeded' || phase === 'Failed'
  const { message, lastFailure } = status ?? {}
  const standing = { kind: 'TrainingJob' as const, name, phase, message, isOver }
  if (phase === 'Succeeded') return standing
  if (phase === 'Suspended' || spec.suspend) {
    const withFactory = annotations?.[annotation.suspendedBy] !== undefined
    return { ...standing, hint: withFactory ? 'the next `millwright up` lets it go on' : resumeHint(name) }
  }
  if (phase === 'Pending' && message === undefined)
    return { ...standing, message: 'its gang is not made yet; if it stays so, the factory may be busy or stopped' }
  const goesOn = !isOver && lastFailure !== undefined && lastFailure.attempt === status?.attempt
  return { ...standing, lastFailure, goesOn, hint: isOver ? `\`millwright logs ${name}\` shows its output` : undefined }
}

function standingOfService({ metadata: { name }, status }: InferenceService): Standing {
  const phase = status?.phase ?? 'Pending'
  const ready = conditionOf(status?.conditions, 'Ready')
  const standing = { kind: 'InferenceService' as const, name, phase, message: status?.message, isOver: false }
  if (phase === 'Suspended') return { ...standing, hint: resumeHint(name) }
  if (phase === 'Zero') return { ...standing, hint: 'no requests; the next one wakes it' }
  if (ready?.status === 'True' || ready === undefined) return standing
  const hint =
    ready.reason === 'CrashLoop' || ready.reason === 'ProgressDeadlineExceeded'
      ? `\`millwright logs ${name}\` shows its output`
      : undefined
  return { ...standing, reason: ready.reason, message: status?.message ?? meaning[ready.reason ?? ''], hint }
}

const resumeHint = (name: string) => `\`millwright resume ${name}\` lets it go on`
/** Of reasons that come without a message. */
const meaning: Record<string, string> = {
  NoReplicaReady: 'no replica is ready yet: its probe has not succeeded',
  ProgressDeadlineExceeded: 'no replica became ready in time (progressDeadlineSeconds): its probe never succeeded',
}

function linesOf({ name, phase, reason, message, lastFailure, goesOn, hint }: Standing): string[] {
  const lines = [`${name}: ${phase}${reason === undefined ? '' : ` (${reason})`}`]
  if (message !== undefined) lines.push(`  ${message}`)
  if (lastFailure !== undefined && lastFailure.message !== message)
    lines.push(`  ${goesOn ? 'a worker' : `attempt ${lastFailure.attempt}`} failed: ${lastFailure.message}`)
  const tail = lastFailure?.logTail?.trimEnd().split('\n').slice(-5) ?? []
  if (tail.join('') !== '') lines.push('  its last words:', ...tail.map((line) => `    ${line}`))
  if (hint !== undefined) lines.push(`  ${hint}`)
  return lines
}

/** @param isOwned Its owner has said already how it does with its seats, or without. */
function answerLines(answer: Why, nowMs: number, isOwned: boolean): string[] {
  const { gang, state, reason, message, placeInLine } = answer
  if (state === 'seated') return [`${isOwned ? '  ' : ''}${gang}: ${message}`, ...seatedLines(answer, nowMs)]
  if (state !== 'waiting') return isOwned ? [] : [`${gang}: ${state}`, `  ${reason}: ${message}`]
  const place = placeInLine === undefined ? '' : `, number ${placeInLine} in line`
  return [`${gang}: waiting${place}`, `  ${reason}: ${message}`, ...waitingLines(answer, nowMs)]
}

const holdersShown = 4

function waitingLines({ asked, free, holders, others, expectedStart, reason, fixes }: Why, nowMs: number): string[] {
  const wanted = asked.accelerators.map(({ model, count }) => `${model}:${count}`).join(' or ')
  const left = free.map((one) => `${one.count} of ${one.total} ${one.model}`).join(', ') || 'none'
  const members = counted(asked.members, 'member')
  const lines = [`  asked  ${members}, ${wanted} in all; free ${left}`]
  if (holders.length > 0) {
    const held = holders.slice(0, holdersShown).map(({ gang, accelerators, share, queue, priority }) => {
      const part = share > 0 ? `, ${Math.round(100 * share)} %` : ''
      return `${gang} ${accelerators}${part} (queue ${queue}, priority ${priority})`
    })
    const more = holders.length - held.length + (others?.gangs ?? 0)
    lines.push(`  held   ${held.join(', ')}${more > 0 ? ` and ${more} more` : ''}`)
  }
  if (expectedStart !== undefined) lines.push(`  start  ${startSaid(expectedStart, nowMs)}`)
  if (reason !== 'Preempting')
    lines.push(
      `  starts now with: ${fixes.length > 0 ? fixes.join('; or ') : 'nothing smaller than waiting was found'}`,
    )
  return lines
}

const rejectedShown = 4

function seatedLines({ here, displaceable, expectedEnd, growth }: Why, nowMs: number): string[] {
  const lines: string[] = []
  if (here !== undefined) {
    const { place, elsewhere, passedOver, rejected } = here
    lines.push(`  here   ${[place, ...(elsewhere === undefined ? [] : [`would sit on ${elsewhere} now`])].join('; ')}`)
    if (passedOver.length > 0) lines.push(`  rather ${passedOver.join('; ')}`)
    const reasons = rejected.slice(0, rejectedShown).map((one) => `${one.nodes} ${one.reason}`)
    const more = rejected.length > rejectedShown ? [counted(rejected.length - rejectedShown, 'more reason')] : []
    if (reasons.length > 0) lines.push(`  nodes  not on ${[...reasons, ...more].join(', ')}`)
  }
  if (displaceable !== undefined) {
    const { by, spared, priceSeconds } = displaceable
    const price = `would lose ${counted(Math.round(priceSeconds), 'accelerator-second')} of work`
    lines.push(
      `  leaves ${by.length === 0 ? 'for nobody' : `for ${by.join('; or ')}`}${spared === undefined ? '' : `; ${spared}`}; ${price}`,
    )
  }
  if (expectedEnd !== undefined)
    lines.push(`  ends   in ${leftSaid(expectedEnd.earliest, expectedEnd.latest, nowMs)}, ${expectedEnd.basis}`)
  if (growth !== undefined) lines.push(`  grows  ${growth}`)
  return lines
}

function leftSaid(earliest: string, latest: string, nowMs: number): string {
  const left = (time: string) => humanDuration(Math.max(0, Date.parse(time) - nowMs))
  return left(earliest) === left(latest) ? left(latest) : `${left(earliest)} to ${left(latest)}`
}

function startSaid({ earliest, latest, basis }: NonNullable<Why['expectedStart']>, nowMs: number): string {
  if (earliest === undefined) return `unknown: ${basis}`
  if (latest === undefined) return `in ${leftSaid(earliest, earliest, nowMs)} at the earliest, ${basis}`
  return `in ${leftSaid(earliest, latest, nowMs)}, ${basis}`
}
