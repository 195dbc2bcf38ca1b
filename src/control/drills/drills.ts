import { durationMs } from '../../model/duration.ts'
import { faults } from '../../model/faults.ts'
import type { Drill } from '../../model/kinds/drill.ts'
import { keyOf, refOf, refOfKey } from '../../model/refs.ts'
import { seenMs } from '../gangs.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'
import { accountsOf, changeOf, evenThroughMs } from './accounts.ts'
import { choose } from './choose.ts'
import { type Followed, follow, isOver } from './follow.ts'
import { outcomeOf } from './outcome.ts'

type DrillStatus = NonNullable<Drill['status']>

const everyMs = 500
/** The ledger is written a second after a change. One that is down holds no drill up for longer than this. */
const ledgerMsMax = 15_000
const ledgerIsBehind = 'the ledger is brought up to date'
/** Keeps a drill that is deleted until what it did is undone. */
const drillFinalizer = 'millwright.dev/undone'

/**
 * Chooses what a drill strikes, once it is there, and follows what comes of it. Striking and undoing is its agent's: the
 * write of what is chosen asks for it.
 */
export function createDrills(context: Context): Reconciler {
  const { store, views, clock, ages } = context
  const drills = views.of('Drill')
  /** Since when the ledger is waited for. */
  const askedMs = new Map<string, number>()
  for (const kind of ['Gang', 'Pod', 'Report', 'Node', 'TrainingJob', 'InferenceService'] as const) views.of(kind)

  async function reconcile(key: string): Promise<Outcome> {
    const drill = drills.get(refOfKey(key))
    if (drill === undefined || (await protect(drill)) === 'changed') return settled()
    if (drill.metadata.deletionTimestamp !== undefined) return again(everyMs)
    if (hasEnded(drill)) return settled()
    const status = await next(drill)
    if (status !== undefined)
      await store.patch('Drill', refOf(drill), { status }, { status: true, uid: drill.metadata.uid })
    return again(everyMs)
  }

  async function protect(drill: Drill): Promise<'kept' | 'changed'> {
    const { finalizers = [], deletionTimestamp, resourceVersion } = drill.metadata
    const has = finalizers.includes(drillFinalizer)
    if (deletionTimestamp === undefined ? has : !has || !isUndone(drill)) return 'kept'
    const others = finalizers.filter((finalizer) => finalizer !== drillFinalizer)
    const after = deletionTimestamp === undefined ? [...others, drillFinalizer] : others
    await store.patch('Drill', refOf(drill), { metadata: { finalizers: after } }, { resourceVersion })
    return 'changed'
  }

  /** What is to be written of it now, if anything. */
  async function next(drill: Drill): Promise<Partial<DrillStatus> | undefined> {
    const { target, refused, struckAt } = drill.status ?? {}
    const isLate = ageMs(drill) > durationMs(drill.spec.deadline)
    if (refused !== undefined) return failed(refused)
    if (target === undefined) return await begin(drill, isLate)
    if (struckAt === undefined) return isLate ? failed(`nobody struck within ${drill.spec.deadline}`) : undefined
    return await goOn(drill, Date.parse(struckAt), isLate)
  }

  async function begin(drill: Drill, isLate: boolean): Promise<Partial<DrillStatus> | undefined> {
    if (ageMs(drill) < durationMs(drill.spec.after))
      return saying(drill, 'Waiting', `strikes ${drill.spec.after} after it was made`)
    const chosen = choose(context, drill)
    if ('never' in chosen) return failed(chosen.never)
    if ('waits' in chosen)
      return isLate
        ? failed(`nothing was struck within ${drill.spec.deadline}: ${chosen.waits}`)
        : saying(drill, 'Waiting', chosen.waits)
    const { target } = chosen
    const key = keyOf(drill)
    const sinceMs = askedMs.get(key) ?? clock.now()
    askedMs.set(key, sinceMs)
    const { accounts, isBehind } = await lookUp(target, sinceMs)
    if (isBehind) return saying(drill, 'Waiting', ledgerIsBehind)
    askedMs.delete(key)
    return { phase: 'Striking', message: strikes(drill.spec, target), target, accounts }
  }

  /** What the ledger holds; behind where it is not kept up to `sinceMs` everywhere, and may still come to be. */
  async function lookUp(target: DrillStatus['target'], sinceMs: number) {
    const { items } = await store.list('LedgerPage')
    const isKept = (evenThroughMs(items, views.of('Node').list()) ?? 0) >= sinceMs
    return { accounts: accountsOf(items, ownersOf(target)), isBehind: !isKept && clock.now() < sinceMs + ledgerMsMax }
  }

  async function goOn(drill: Drill, struckMs: number, isLate: boolean): Promise<Partial<DrillStatus>> {
    const seen = follow(context, drill, struckMs)
    const news = {
      ...(seen.detectedMs === undefined ? {} : { detectedAt: iso(seen.detectedMs) }),
      ...(seen.recoveredMs === undefined ? {} : { recoveredAt: iso(seen.recoveredMs) }),
      ...(seen.stepSeconds === undefined ? {} : { stepSeconds: seen.stepSeconds }),
    }
    const endMs = endOf(drill, seen)
    if (endMs === undefined && !isLate) return { phase: 'Recovering', message: waitsFor(seen), ...news }
    const { accounts, target } = drill.status ?? {}
    const now = await lookUp(target, endMs ?? 0)
    if (now.isBehind && !isLate) return { phase: 'Recovering', message: ledgerIsBehind, ...news }
    const ledger = accounts === undefined ? undefined : changeOf(accounts, now.accounts)
    const outcome = outcomeOf(drill, struckMs, seen, ledger)
    const hasPassed = outcome.unmet.length === 0
    const message = hasPassed ? 'it came as expected' : outcome.unmet.join('; ')
    return { phase: hasPassed ? 'Passed' : 'Failed', message, ...news, outcome }
  }

  function ageMs({ metadata: { uid, creationTimestamp } }: Drill): number {
    return ages.of(`${uid} made`, Date.parse(creationTimestamp ?? ''), seenMs)
  }

  /** Drills under way that struck this gang. */
  function striking(gang: string): string[] {
    const struck = drills
      .list()
      .filter(({ status }) => status?.target?.gangs.some(({ name }) => name === gang) === true)
    return struck.filter((drill) => !hasEnded(drill)).map(keyOf)
  }

  return {
    name: 'drills',
    watches: [
      { kind: 'Drill', keys: (drill) => [keyOf(drill)] },
      // When recovery decides is told by this write alone.
      { kind: 'Gang', keys: (gang) => striking(keyOf(gang)) },
    ],
    workers: 1,
    reconcile,
  }
}

function hasEnded({ status }: Drill): boolean {
  return status?.phase === 'Passed' || status?.phase === 'Failed'
}

/** Nothing of it is left, or never was. */
function isUndone(drill: Drill): boolean {
  const { struckAt, mendedAt } = drill.status ?? {}
  const { kind } = drill.spec.fault
  return struckAt === undefined || mendedAt !== undefined || kind === 'process-crash' || kind === 'gpu-error'
}

function failed(message: string): Partial<DrillStatus> {
  return { phase: 'Failed', message }
}

/** Undefined where it says so already. */
function saying({ status }: Drill, phase: 'Waiting', message: string): Partial<DrillStatus> | undefined {
  return status?.phase === phase && status.message === message ? undefined : { phase, message }
}

function strikes({ fault }: Drill['spec'], { pods, nodes }: NonNullable<DrillStatus['target']>): string {
  const [pod] = pods
  if (nodes.length === 0) return `strikes the ${faults[fault.kind].strikes}`
  return pod !== undefined && pods.length === 1 ? `strikes ${pod.name} on ${nodes[0]}` : `strikes ${nodes.join(', ')}`
}

function waitsFor({ detectedMs, recoveredMs }: Followed): string {
  if (recoveredMs !== undefined) return 'all that was struck does its work again; the fault still lasts'
  return detectedMs === undefined
    ? 'struck; nobody has noticed yet'
    : 'noticed; what was struck does not work again yet'
}

/** When there is nothing more to wait for. */
function endOf(drill: Drill, { recoveredMs, trouble }: Followed): number | undefined {
  if (trouble !== undefined) return trouble.atMs
  if (recoveredMs === undefined || !isOver(drill)) return undefined
  const { mendedAt } = drill.status ?? {}
  return mendedAt === undefined ? recoveredMs : Math.max(recoveredMs, Date.parse(mendedAt))
}

function ownersOf(target: DrillStatus['target']): Set<string> {
  return new Set((target?.gangs ?? []).map(({ owner }) => owner))
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
