import type { Gang } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import { priceOfGang } from '../../model/lost-work.ts'
import { annotation, label } from '../../model/names.ts'
import { closedBecause, leavingReasonOf, opened, slow } from '../../model/nodes.ts'
import { keyOf, refOf } from '../../model/refs.ts'
import { acceleratorsHeld, seatsNow } from '../../model/seats.ts'
import { gangStatusOf, ranSecondsOf } from '../gangs.ts'
import { again, type Context, type Outcome, settled } from '../reconciler.ts'
import type { Closing, SlowMark } from './closing.ts'
import { whoHasNoRoom } from './room.ts'
import { type OwnTime, type Straggler, type Stragglers, stragglersAmong, whenToLeave } from './stragglers.ts'

/** Each member's report brings its gang here: it is looked at no more often than this. */
const lookEveryMs = 10_000
/** What could not be done is looked at again after so long. */
const againMs = 60_000

/** Of one gang on its present seats. Times are steady. */
interface Watched {
  seated: string
  lookedMs: number
  /** Nodes that are slow, since when. */
  slowSinceMs: Map<string, number>
  /** Why they are not left, as it was told last. */
  toldNot: string
}

/**
 * Work leaves a node that keeps it waiting, where that pays: the node is closed, which is the decision, and what runs
 * there writes a checkpoint and goes on elsewhere, as from any node that is to be left (`control/nodes/leaving.ts`). A rank
 * that is as slow on another node has more to do than others, or the job does; then the first node is opened again, and
 * nobody moves for that rank any more.
 */
export function createReplacement(context: Context, closing: Closing) {
  const { store, views, clock, signs, events, leaving } = context
  const nodes = views.of('Node')
  const gangs = views.of('Gang')
  views.of('Queue')
  const watched = new Map<string, Watched>()

  /** Of a gang whose members are all well. */
  async function look(gang: Gang, job: TrainingJob): Promise<Outcome> {
    const key = keyOf(gang)
    const seats = seatsNow(gang)
    if (seats === undefined || seats.members.length < 2) {
      watched.delete(key)
      return settled()
    }
    const known = watchedOf(key, `${gang.metadata.uid} ${seats.attempt} ${seats.at}`)
    const restMs = known.lookedMs + lookEveryMs - clock.steadyMs()
    if (restMs > 0) return again(restMs)
    known.lookedMs = clock.steadyMs()
    if ((await openUneven(gang)) === 'stale') return again(lookEveryMs)
    // What a silent agent said last may be over, also when it has just been heard again.
    if (seats.members.some(({ node }) => signs.silenceOf(node) !== 'none')) {
      known.slowSinceMs.clear()
      return again(lookEveryMs)
    }
    // What is to leave anyway needs no reason more.
    if (leaving.whyOf(gang) !== undefined) return settled()
    const found = stragglersAmong(ownTimesOf(gang), unevenOf(gang))
    note(known, found)
    if (found === undefined) return settled()
    const uneven = found.slow.find((one) => isSlowElsewhere(gang, one))
    if (uneven !== undefined) return await acquit(gang, uneven)
    return await weigh(gang, job, found, known)
  }

  function watchedOf(key: string, seated: string): Watched {
    const before = watched.get(key)
    if (before?.seated === seated) return before
    const fresh: Watched = { seated, lookedMs: Number.NEGATIVE_INFINITY, slowSinceMs: new Map(), toldNot: '' }
    watched.set(key, fresh)
    return fresh
  }

  function ownTimesOf(gang: Gang): OwnTime[] {
    const seats = new Map(seatsNow(gang)?.members.map((seat) => [seat.pod, seat]))
    return views.reportsOf(gang).flatMap(({ spec, status }) => {
      const seat = seats.get(spec.pod?.name ?? '')
      const { busySeconds } = status ?? {}
      if (seat === undefined || busySeconds === undefined || spec.attempt !== gang.spec.attempt) return []
      return [{ rank: seat.rank, node: seat.node, group: seat.group, busySeconds }]
    })
  }

  function note({ slowSinceMs }: Watched, found: Stragglers | undefined): void {
    const slow = new Set(found?.slow.map(({ node }) => node))
    for (const node of slowSinceMs.keys()) if (!slow.has(node)) slowSinceMs.delete(node)
    for (const node of slow) if (!slowSinceMs.has(node)) slowSinceMs.set(node, clock.steadyMs())
  }

  /** A node is closed for the same rank of the same gang already, and the rank is slow here, too. */
  function isSlowElsewhere(gang: Gang, { node, rank }: Straggler): boolean {
    return nodes.list().some((one) => one.metadata.name !== node && isMarked(one, { gang: uidOf(gang), rank }))
  }

  /** That it is uneven is written first: the node may take work again at once. */
  async function acquit(gang: Gang, { rank }: Straggler): Promise<Outcome> {
    const uneven = [...unevenOf(gang), rank].toSorted((a, b) => a - b).join()
    const { resourceVersion } = gang.metadata
    const annotations = { [annotation.unevenRanks]: uneven }
    const written = await store.patch('Gang', refOf(gang), { metadata: { annotations } }, { resourceVersion })
    if (typeof written === 'string') return settled()
    return (await openUneven(written)) === 'stale' ? again(lookEveryMs) : settled()
  }

  /** At each look: whoever wrote that they are uneven may have come no further. */
  async function openUneven(gang: Gang): Promise<'stale' | undefined> {
    for (const rank of unevenOf(gang)) {
      for (const node of nodes.list().filter((one) => isMarked(one, { gang: uidOf(gang), rank }))) {
        const { resourceVersion } = node.metadata
        const written = await store.patch('Node', refOf(node), opened(node), { resourceVersion })
        if (written === 'stale') return written
        const because = `rank ${rank} of ${gang.metadata.name} is as slow elsewhere: it has more to do than others`
        if (written !== 'missing') events.record(node, 'Normal', 'Uncordoned', because)
      }
    }
    return undefined
  }

  async function weigh(gang: Gang, job: TrainingJob, found: Stragglers, known: Watched): Promise<Outcome> {
    const accused = found.slow.flatMap(({ node }) => nodes.get({ name: node }) ?? [])
    const names = new Set(accused.map(({ metadata }) => metadata.name))
    const leavers = gangsOn(names)
    const perSecond = found.wasted * acceleratorsHeld(seatsNow(gang)?.members ?? [])
    const slowSeconds = (clock.steadyMs() - Math.max(...known.slowSinceMs.values())) / 1000
    const ahead = perSecond * restSecondsOf(gang, job, context)
    const price = leavers.reduce((sum, one) => sum + priceOfLeaving(one), 0)
    const when = whenToLeave({ perSecond, slowSeconds, ahead, price })
    if (when === 'does not pay') return again(againMs)
    if (when.inSeconds > 0) return again(Math.min(againMs, Math.max(1_000, when.inSeconds * 1000)))
    const refused = whyNot(accused, leavers, names)
    if (refused !== undefined) {
      if (known.toldNot !== refused)
        for (const node of accused) events.record(node, 'Warning', 'NotCordoned', `it is slow, but ${refused}`)
      known.toldNot = refused
      return again(againMs)
    }
    const pays = `leaving costs ${said(price)}, staying ${said(ahead)}`
    for (const { node: name, rank, score } of found.slow) {
      const node = nodes.get({ name })
      const is = `slow: rank ${rank} of ${gang.metadata.name} works at ${Math.round(100 * score)} % of the usual speed there`
      const because = `${is}, for ${Math.round(slowSeconds)} s; ${pays}`
      if (node === undefined) continue
      if ((await closing.leave(node, because, { gang: uidOf(gang), rank })) === 'stale') return again(lookEveryMs)
    }
    return settled()
  }

  function whyNot(accused: readonly Node[], leavers: readonly Gang[], names: ReadonlySet<string>): string | undefined {
    const theirs = accused.find((node) => node.spec?.unschedulable === true && closedBecause(node) === undefined)
    if (theirs !== undefined) return `somebody closed ${theirs.metadata.name}, whose it is`
    const kept = accused.map((node) => closing.whyNot(node, names)).find((why) => why !== undefined)
    if (kept !== undefined) return names.size === 1 ? kept : `with the others that are slow closed, ${kept}`
    const without = whoHasNoRoom(views, leavers, names, clock.now())
    return without === undefined ? undefined : `gang ${without} has no room elsewhere now`
  }

  /** Replicas leave as well, once others serve in their place: that loses nothing. */
  function gangsOn(names: ReadonlySet<string>): Gang[] {
    return gangs
      .list()
      .filter(
        (gang) =>
          gang.metadata.labels?.[label.job] !== undefined &&
          seatsNow(gang)?.members.some(({ node }) => names.has(node)) === true,
      )
  }

  /**
   * Who leaves a node that stays writes a checkpoint first, and works on until that is durable: it does again what it did
   * meanwhile, and starts again. Who has written none loses all.
   */
  function priceOfLeaving(gang: Gang): number {
    const shipped = views.reportsOf(gang).flatMap(({ spec, status }) => {
      const last = spec.attempt === gang.spec.attempt ? status?.checkpoints.at(-1) : undefined
      return last === undefined ? [] : [(last.stallSeconds ?? 0) + (last.persistSeconds ?? 0)]
    })
    const known = shipped.length === 0 ? {} : { checkpointRequestSeconds: Math.max(...shipped) }
    return priceOfGang({ ...gang, status: { ...gangStatusOf(gang), ...known } }, clock.now())?.gpuSeconds ?? 0
  }

  return { look, forget: (key: string) => void watched.delete(key) }
}

/** By its pace or as declared; of one of which nothing is known, or that is late, as long again as it has run. */
function restSecondsOf(gang: Gang, job: TrainingJob, { ages, clock }: Context): number {
  const seconds = (Date.parse(job.status?.expectedEnd ?? '') - clock.now()) / 1000
  return seconds > 0 ? seconds : ranSecondsOf(gang, ages)
}

function unevenOf({ metadata }: Gang): Set<number> {
  const text = metadata.annotations?.[annotation.unevenRanks] ?? ''
  return new Set(text === '' ? [] : text.split(',').map(Number))
}

/** One that is left for something else by now, as when a person drains it, is theirs. */
function isMarked(node: Node, { gang, rank }: SlowMark): boolean {
  const isOurs = closedBecause(node) !== undefined && leavingReasonOf(node) === slow
  return isOurs && node.metadata.annotations?.[annotation.slow] === JSON.stringify({ gang, rank })
}

function uidOf({ metadata }: Gang): string {
  return metadata.uid ?? ''
}

function said(seconds: number): string {
  return `${Math.round(seconds)} accelerator-seconds`
}
