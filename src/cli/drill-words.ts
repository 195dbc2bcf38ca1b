import { formatDuration } from '../model/duration.ts'
import { type FaultKind, faults, reachSaid } from '../model/faults.ts'
import type { Drill } from '../model/kinds/drill.ts'
import { table } from './output.ts'

/** What it is about to do. */
export function drillSaid({ metadata, spec }: Drill): string {
  const { kind, lasts, notice, reach } = spec.fault
  const long = lasts === undefined ? '' : ` for ${lasts}`
  const domain = reach === undefined ? '' : `, with its ${reachSaid(reach)},`
  const before = notice === undefined ? '' : `, and says so ${notice} before`
  return `drill ${metadata.name}: ${kind}${targetSaid(spec.target)}${domain}${long}${before}`
}

function targetSaid(target: Drill['spec']['target']): string {
  if (target === undefined) return ''
  const { job, rank = 0, service, labels = {}, node } = target
  if (job !== undefined) return ` of rank ${rank} of job ${job}`
  if (service !== undefined) return ` of a replica of service ${service}`
  if (node !== undefined) return ` of node ${node}`
  const words = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  return ` of the first pod with ${words.join(', ')}`
}

/** What happened since. */
export function newsOf(before: Drill | undefined, { spec, status }: Drill): string[] {
  const { phase, message, struckAt, detectedAt, recoveredAt, mendedAt } = status ?? {}
  const old = before?.status
  const at = (time: string | undefined, known: string | undefined, words: string) =>
    time === undefined || known !== undefined ? [] : [`  ${time.slice(11, 23)}  ${words}`]
  const since = (time: string | undefined) => formatDuration(Date.parse(time ?? '') - Date.parse(struckAt ?? ''))
  const waits = phase === 'Waiting' && message !== old?.message ? [`  waits: ${message}`] : []
  return [
    ...waits,
    ...at(struckAt, old?.struckAt, strikesSaid(spec.fault.kind, status?.target)),
    ...at(detectedAt, old?.detectedAt, `recovery has decided, after ${since(detectedAt)}`),
    ...at(recoveredAt, old?.recoveredAt, `it works again, after ${since(recoveredAt)}`),
    ...at(mendedAt, old?.mendedAt, `the fault is over, after ${since(mendedAt)}`),
  ].toSorted((a, b) => (a.slice(2, 14) < b.slice(2, 14) ? -1 : 1))
}

function strikesSaid(kind: FaultKind, target: NonNullable<Drill['status']>['target']): string {
  const { nodes = [], pods = [] } = target ?? {}
  if (nodes.length === 0) return `strikes the ${faults[kind].strikes === 'storage' ? 'object storage' : 'leader'}`
  const running = pods.map(({ name }) => name).join(', ')
  return `strikes ${running === '' ? nodes.join(', ') : `${running} on ${nodes.join(', ')}`}`
}

/** What came of it. */
export function drillLines({ spec, status }: Drill): string[] {
  const { phase = 'Failed', message = '', outcome } = status ?? {}
  const verdict = `${phase.toLowerCase()}: ${message}`
  if (outcome === undefined) return ['', verdict]
  const { detectedSeconds, recoveredSeconds, reason, attempts, lostSeconds, stepSeconds, ledger } = outcome
  const { detectedWithin, recoveredWithin, attemptsAtMost, lostSecondsAtMost } = spec.expect
  const span = (seconds: number | undefined) => (seconds === undefined ? '-' : formatDuration(seconds * 1000))
  const within = (text: string | undefined) => (text === undefined ? '-' : `within ${text}`)
  const atMost = (count: number | undefined) => (count === undefined ? '-' : `at most ${count}`)
  const because = reason === undefined ? '' : ` (${reason})`
  const rows = [
    ['detected after', `${span(detectedSeconds)}${because}`, within(detectedWithin)],
    ['recovered after', span(recoveredSeconds), within(recoveredWithin)],
    ['attempts', String(attempts), atMost(attemptsAtMost)],
    ['work lost', `${lostSeconds.toFixed(1)} accelerator-seconds`, atMost(lostSecondsAtMost)],
    ...(spec.fault.kind === 'straggler' && stepSeconds !== undefined ? [stepRow(stepSeconds)] : []),
  ]
  return [
    '',
    ...table(['', 'FOUND', 'EXPECTED'], rows).split('\n'),
    ...(ledger === undefined ? [] : ['', ...ledgerLines(ledger)]),
    '',
    verdict,
  ]
}

/** Whether anything was slow at all. */
function stepRow({ before, slowest }: { before: number; slowest: number }): string[] {
  const span = (seconds: number) => formatDuration(Math.round(seconds * 1000))
  return ['slowest step', `${span(slowest)}, ${span(before)} before`, '-']
}

type LedgerChange = NonNullable<NonNullable<NonNullable<Drill['status']>['outcome']>['ledger']>

function ledgerLines({ fromMs, throughMs, shares }: LedgerChange): string[] {
  const seconds = (value: number) => value.toFixed(1)
  const sum = (read: (share: LedgerChange['shares'][number]) => number) =>
    seconds(shares.reduce((total, share) => total + read(share), 0))
  const rows = [
    ...shares.map(({ bucket, seconds: all, ofTarget }) => [bucket, seconds(all), seconds(ofTarget)]),
    ['total', sum((share) => share.seconds), sum((share) => share.ofTarget)],
  ]
  const time = (ms: number) => new Date(ms).toISOString().slice(11, 19)
  return [
    `What changed in the ledger from ${time(fromMs)} to ${time(throughMs)}:`,
    ...table(['BUCKET', 'ACCELERATOR-SECONDS', 'OF WHAT WAS STRUCK'], rows).split('\n'),
  ]
}
