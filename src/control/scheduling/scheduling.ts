import type { Gang } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { keyOf, refOfKey } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import type { Change, Scheduler, Verdict } from '../../scheduler/contract.ts'
import { isElastic } from '../../scheduler/gangs.ts'
import { createScheduler } from '../../scheduler/scheduler.ts'
import { gangKeyOf, gangStatusOf } from '../gangs.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'
import { bindMembers } from './bind.ts'
import { askVictims, commitVerdict } from './commit.ts'
import { createDecisionLog } from './decisions.ts'
import { createTermTime, type TermTime } from './term-time.ts'

/** The key under which the whole fleet is decided about; all others are gangs. No gang's key lacks a namespace. */
const fleetKey = 'fleet'
/** Some reasons are told only once they have lasted, and nothing else may bring us back meanwhile. */
const redecideMs = 5_000

/**
 * Who sits where. Whatever changed is fed to the scheduler; its verdicts are committed and carried out gang by gang,
 * side by side, each gang's in order.
 */
export function createScheduling(context: Context, scheduler: Scheduler = createScheduler()): Reconciler {
  const { store, views, clock, ages, epoch } = context
  const gangs = views.of('Gang')
  const nodes = views.of('Node')
  const pods = views.of('Pod')
  const verdicts = new Map<string, Verdict>()
  const decisions = context.decisions === undefined ? undefined : createDecisionLog(epoch, context.decisions)
  /** Gangs that may be given something: without one, time alone changes no decision. */
  const open = new Set<string>()
  gangs.onChange(({ type, object }) => {
    if (type !== 'DELETED' && mayBeGiven(object)) open.add(keyOf(object))
    else open.delete(keyOf(object))
  })
  let claimed = false
  const time = createTermTime(clock)
  feed(context, time, tell)

  function tell(change: Change): void {
    decisions?.told(change)
    scheduler.apply(change)
  }

  /**
   * What a pod will hold is its own from when its binding is asked for: until the answer is here its gang may be at
   * another attempt, whose seats say nothing of it any more.
   */
  function assumeBound(pod: Pod): () => void {
    tell({ kind: 'Pod', object: pod })
    return () => {
      const now = pods.get(pod.metadata)
      tell(now === undefined ? deleted('Pod', pod) : { kind: 'Pod', object: now })
    }
  }

  async function decide(): Promise<Outcome> {
    if (!claimed && !(await claimGangs())) return again(5)
    claimed = true
    const nowMs = time.nowMs()
    const decided = scheduler.decide(nowMs)
    decisions?.decided(nowMs, decided)
    for (const verdict of decided) verdicts.set(verdict.gang, verdict)
    return { ...(open.size > 0 ? again(redecideMs) : settled()), wake: decided.map((verdict) => verdict.gang) }
  }

  /** A new leader decides only when its epoch is in every gang that the one before it could still seat, or let grow. */
  async function claimGangs(): Promise<boolean> {
    const toClaim = gangs.list().filter((gang) => (gang.status?.epoch ?? 0) < epoch && mayBeGiven(gang))
    const claims = toClaim.map((gang) =>
      store.updateStatus('Gang', { ...gang, status: { ...gangStatusOf(gang), epoch } }),
    )
    return (await Promise.all(claims)).every((outcome) => outcome !== 'stale')
  }

  async function seat(key: string): Promise<Outcome> {
    const verdict = verdicts.get(key)
    if (verdict !== undefined) await commit(verdict)
    // As it is known now: while the answer was on its way it may have changed again, or gone.
    const gang = gangs.get(refOfKey(key))
    if (gang !== undefined)
      await bindMembers(store, gang, views.podsOf(gang), (name) => nodes.get({ name }), assumeBound)
    const asked =
      gang === undefined ? 'asked' : await askVictims(store, gang, (other) => gangs.get(refOfKey(other)), clock.now())
    const outcome = asked === 'asked' ? settled() : again(5)
    return verdict === undefined ? outcome : { ...outcome, wake: [fleetKey] }
  }

  /**
   * A verdict stays until its write has an answer: one that failed for another reason is written again. Meanwhile there may
   * be one about another gang of its name.
   */
  async function commit(verdict: Verdict): Promise<void> {
    const gang = gangs.get(refOfKey(verdict.gang))
    const word =
      gang === undefined ? 'stale' : await commitVerdict(store, gang, verdict, { ages, epoch, nowMs: clock.now() })
    if (verdicts.get(verdict.gang) === verdict) verdicts.delete(verdict.gang)
    decisions?.settled(verdict, word)
    scheduler.settle(verdict, word)
  }

  return {
    name: 'scheduling',
    watches: [
      { kind: 'Node', keys: () => [fleetKey] },
      { kind: 'Queue', keys: () => [fleetKey] },
      { kind: 'Pool', keys: () => [fleetKey] },
      { kind: 'Gang', keys: (gang) => [fleetKey, keyOf(gang)] },
      // One that is bound leaves nothing to carry out.
      { kind: 'Pod', keys: (pod) => (pod.spec.nodeName === undefined ? [fleetKey, ...gangKeyOf(pod)] : [fleetKey]) },
    ],
    workers: 32,
    reconcile: (key) => (key === fleetKey ? decide() : seat(key)),
  }
}

/** Every change, in the order of its kind's watch, from the first list on. */
function feed({ views }: Context, time: TermTime, tell: (change: Change) => void): void {
  views
    .of('Queue')
    .onChange(({ type, object }) => tell(type === 'DELETED' ? deleted('Queue', object) : { kind: 'Queue', object }))
  views
    .of('Pool')
    .onChange(({ type, object }) => tell(type === 'DELETED' ? deleted('Pool', object) : { kind: 'Pool', object }))
  views
    .of('Node')
    .onChange(({ type, object }) => tell(type === 'DELETED' ? deleted('Node', object) : { kind: 'Node', object }))
  views.of('Gang').onChange(({ type, object }) => {
    if (type === 'DELETED') time.forget(object)
    tell(type === 'DELETED' ? deleted('Gang', object) : { kind: 'Gang', object: time.read(object) })
  })
  views
    .of('Pod')
    .onChange(({ type, object }) => tell(type === 'DELETED' ? deleted('Pod', object) : { kind: 'Pod', object }))
}

function deleted(kind: Change['kind'], object: { metadata: { name: string; namespace?: string | undefined } }): Change {
  return { kind, deleted: keyOf(object) }
}

/** Seats, or more of them. */
function mayBeGiven(gang: Gang): boolean {
  return !gang.spec.suspend && (seatsNow(gang) === undefined || isElastic(gang))
}
