import type { Clock } from '../../base/clock.ts'
import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Pod } from '../../model/kinds/kubernetes.ts'
import { isOwnedBy, keyOf } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { attemptOf, gangKeyOf, gangKeyOfReport, hasEnded, hasLeft, membersRejoin, startsAtOnce } from '../gangs.ts'
import type { Views } from '../views.ts'
import { Ends } from './ends.ts'

/** The members of each gang that was asked for, kept up with every change of a pod or a report. */
export interface MembersOf {
  /** How those of its present attempt ended. */
  ends(gang: Gang): Ends
  /** Pods of older attempts, and of members that have left, that have neither ended nor been told to end at once. */
  outlived(gang: Gang): Pod[]
  /** What was deleted until now is no failure: the gang was to stop. */
  forgive(gang: Gang): void
  forget(key: string): void
}

/** Of one gang, not of its name: a job made again under the name of another starts from nothing. */
interface Kept {
  uid: string
  /** Which seats `ends` is about. */
  seated: string
  seats: Map<string, Seat>
  ends: Ends
  /** Whose pod or report changed since somebody looked. */
  changed: Set<string>
  /** Pods that were bound and are gone. */
  deleted: Set<string>
  /** Members that stand still, and since when that is known, in steady time. */
  stillSinceMs: Map<string, number>
  /** Those that have ended, likewise. */
  overSinceMs: Map<string, number>
  /** Pods that run on, by attempt. */
  running: Map<number, Map<string, Pod>>
}

export function createMembers({ views, clock }: { views: Views; clock: Clock }): MembersOf {
  const pods = views.of('Pod')
  const reports = views.of('Report')
  const kept = new Map<string, Kept>()

  pods.onChange(({ type, object }) => {
    for (const key of gangKeyOf(object)) {
      const known = kept.get(key)
      if (known !== undefined && isOwnedBy(object, { metadata: known })) seePod(known, object, type === 'DELETED')
    }
  })
  reports.onChange(({ object }) => {
    for (const key of gangKeyOfReport(object)) kept.get(key)?.changed.add(object.spec.pod?.name ?? '')
  })

  function seePod(known: Kept, pod: Pod, isGone: boolean): void {
    const { name, uid = '' } = pod.metadata
    known.changed.add(name)
    if (isGone && pod.spec.nodeName !== undefined) known.deleted.add(name)
    const attempt = attemptOf(pod)
    const running = known.running.get(attempt) ?? new Map<string, Pod>()
    if (isGone || hasEnded(pod) || isKilled(pod)) running.delete(uid)
    else running.set(uid, pod)
    if (running.size > 0) known.running.set(attempt, running)
    else known.running.delete(attempt)
  }

  function keptOf(gang: Gang): Kept {
    const { uid = '' } = gang.metadata
    const known = kept.get(keyOf(gang))
    if (known?.uid === uid) return known
    const fresh: Kept = {
      uid,
      seated: '',
      seats: new Map(),
      ends: new Ends(0),
      changed: new Set(),
      deleted: new Set(),
      stillSinceMs: new Map(),
      overSinceMs: new Map(),
      running: new Map(),
    }
    kept.set(keyOf(gang), fresh)
    for (const pod of views.podsOf(gang)) seePod(fresh, pod, false)
    return fresh
  }

  /** Other seats are another attempt, or other members: all of them are looked at. */
  function sit(known: Kept, gang: Gang): void {
    const seats = seatsNow(gang)
    const { left = [] } = gang.spec
    const seated = seats === undefined ? '' : [seats.attempt, seats.at, seats.made, ...left].join(' ')
    if (seated === known.seated) return
    known.seated = seated
    known.seats = new Map(seats?.members.map((seat) => [seat.pod, seat]))
    known.ends = new Ends(known.seats.size)
    known.changed = new Set(known.seats.keys())
    for (const past of [known.deleted, known.stillSinceMs, known.overSinceMs])
      for (const name of past.keys()) if (!known.seats.has(name)) past.delete(name)
  }

  function look(known: Kept, gang: Gang, name: string): void {
    const seat = known.seats.get(name)
    if (seat === undefined) return
    const { namespace } = gang.metadata
    const found = pods.get({ name, namespace })
    const pod = found !== undefined && isOwnedBy(found, gang) ? found : undefined
    const report = reports.get({ name: `pod.${name}`, namespace })
    const isAbout = report?.spec.pod !== undefined && report.spec.pod.uid === (pod?.metadata.uid ?? '')
    const status = isAbout ? report.status : undefined
    const isOver = status?.ended !== undefined || (pod !== undefined && hasEnded(pod))
    const overSinceMs = knownSince(known.overSinceMs, name, isOver)
    const stillSinceMs = knownSince(known.stillSinceMs, name, status?.hungSinceMs !== undefined)
    const isTaken = known.deleted.has(name)
    const own = membersRejoin(gang) ? { tellsItself: true, stillSinceMs } : { tellsItself: false }
    known.ends.see({ seat, pod, report: status, isTaken, overSinceMs, ...own }, clock.now())
  }

  function knownSince(since: Map<string, number>, name: string, holds: boolean): number | undefined {
    if (!holds) since.delete(name)
    else if (!since.has(name)) since.set(name, clock.steadyMs())
    return since.get(name)
  }

  return {
    ends(gang) {
      const known = keptOf(gang)
      sit(known, gang)
      for (const name of known.changed) look(known, gang, name)
      known.changed.clear()
      if (!startsAtOnce(gang)) return known.ends
      for (const name of known.ends.vanished) {
        known.deleted.add(name)
        look(known, gang, name)
      }
      return known.ends
    },
    outlived(gang) {
      return [...keptOf(gang).running].flatMap(([attempt, running]) => {
        if (attempt < gang.spec.attempt) return [...running.values()]
        return gang.spec.left === undefined
          ? []
          : [...running.values()].filter(({ metadata }) => hasLeft(gang, metadata.name))
      })
    },
    forgive: (gang) => keptOf(gang).deleted.clear(),
    forget: (key) => void kept.delete(key),
  }
}

/** Told to end at once. */
function isKilled({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds === 0
}
