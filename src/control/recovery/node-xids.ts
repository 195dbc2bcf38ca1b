import { health } from '../../model/health.ts'
import type { Gang, Seat } from '../../model/kinds/gang.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { closedBecause, faulty, leavingReasonOf, slow } from '../../model/nodes.ts'
import { refOf, refOfKey } from '../../model/refs.ts'
import { seatsNow } from '../../model/seats.ts'
import { xidsToldBy } from '../../model/told-xids.ts'
import { listedDevices } from '../../scheduler/fleet/read-node.ts'
import { gangKeyOf, membersRejoin } from '../gangs.ts'
import { again, type Context, type Outcome, type Reconciler, settled } from '../reconciler.ts'
import { type End, said } from './cause.ts'
import { closedFor } from './lemons.ts'
import { blames, judge, keyOf, marked, type SeenXid, xidSaid, xidsSeenAnnotation, xidsSeenOn } from './xids.ts'

/** What the budget did not allow is looked at again after so long. */
const againMs = 60_000
/** Of two that wrote a node at once one looks again. */
const staleMs = 50
/** An XID explains what ended within so long: signals are held together over ten minutes (facts/reliability.md §4). */
const explainsMs = 1000 * health.xidExplains.at

export interface NodeXids {
  /** Does what the node's XIDs ask for, each once. 'stale': somebody wrote the node meanwhile, it is to be looked at again. */
  look(name: string): Promise<Outcome | 'stale'>
  /**
   * The end as it is with what a GPU of the gang has told; as it was where none has. `ailing`: pods of those who have failed or
   * stand still.
   */
  behind(gang: Gang, cause: End, ailing: ReadonlySet<string>): End
}

/** What nodes tell of their GPUs by number, and what follows from it. */
export function createNodeXids({ store, views, clock, events, closing }: Context): NodeXids {
  const nodes = views.of('Node')
  const gangs = views.of('Gang')
  const drills = views.of('Drill')
  views.of('Pod')
  /** What could not be read, as it was told last. */
  const problems = new Map<string, string>()

  async function look(name: string): Promise<Outcome | 'stale'> {
    const node = nodes.get({ name })
    const read = node === undefined ? undefined : xidsToldBy(node)
    if (node === undefined || read === undefined) return settled()
    if ('problem' in read) {
      sayProblem(node, read.problem)
      return settled()
    }
    const seen = xidsSeenOn(node)
    const holdersOf = (device: string) => holdersOn(node, device)
    const judged = judge({ told: read.xids, seen, holdersOf, elsewhere: (gang) => ofGang(gang, name) }, clock.now())
    for (const one of judged.unknown)
      events.record(node, 'Warning', 'XIDUnknown', `${xidSaid(one)} is not known here: nothing follows from it`)
    const { asks, wants, because } = judged
    if (asks === undefined || wants === 'nothing' || !isToBeClosed(node, wants))
      return (await note(node, judged.seen)) ?? settled()
    const refused = closedBecause(node) === undefined ? closing.whyNot(node) : undefined
    if (refused === undefined) {
      const { record, lemon } = closedFor(node, 'xid', drills.list(), clock.now())
      const known = { [xidsSeenAnnotation]: JSON.stringify(marked(judged.seen, asks, 'closed')), ...record }
      const whole = lemon === undefined ? because : `${because}; ${lemon}`
      return (await closing.takeOut(node, whole, known, wants === 'leave' ? faulty : undefined)) ?? settled()
    }
    if (asks.refused !== true) events.record(node, 'Warning', 'NotCordoned', `${because}; but ${refused}`)
    return (await note(node, marked(judged.seen, asks, 'refused'))) ?? again(againMs)
  }

  /** Closed by a person it is theirs. One that is slow, or unhealthy, may be opened again, and another may have to be left. */
  function isToBeClosed(node: Node, wants: 'close' | 'leave'): boolean {
    if (node.spec?.unschedulable !== true) return true
    if (closedBecause(node) === undefined) return false
    const reason = leavingReasonOf(node)
    const mayOpen = reason === slow || node.metadata.annotations?.[annotation.unhealthy] !== undefined
    return mayOpen || (wants === 'leave' && reason === undefined)
  }

  function sayProblem(node: Node, problem: string): void {
    const { name, annotations } = node.metadata
    const text = annotations?.[annotation.xids] ?? ''
    if (problems.get(name) === text) return
    problems.set(name, text)
    events.record(node, 'Warning', 'XIDsNotRead', `${annotation.xids} ${problem}; nothing follows from it`)
  }

  async function note(node: Node, seen: readonly SeenXid[]): Promise<'stale' | undefined> {
    const text = JSON.stringify(seen)
    if (node.metadata.annotations?.[xidsSeenAnnotation] === text) return undefined
    const metadata = { annotations: { [xidsSeenAnnotation]: text } }
    const { resourceVersion } = node.metadata
    return (await store.patch('Node', refOf(node), { metadata }, { resourceVersion })) === 'stale' ? 'stale' : undefined
  }

  /** As `uid/pod`. Where the node does not list the device, as where it is told by its PCI address, all who sit there. */
  function holdersOn(node: Node, device: string): string[] {
    const { name } = node.metadata
    const keys = new Set(views.podsOnNode(name).flatMap(gangKeyOf))
    const sitting = [...keys].flatMap((key) => {
      const gang = gangs.get(refOfKey(key))
      const seats = gang === undefined ? [] : (seatsNow(gang)?.members.filter((seat) => seat.node === name) ?? [])
      return gang === undefined ? [] : seats.map((seat) => ({ holder: holderOf(gang, seat), seat }))
    })
    const id = idOf(node, device)
    const holding = sitting.filter(({ seat }) => holds(seat, id ?? device))
    return (holding.length > 0 || id !== undefined ? holding : sitting).map(({ holder }) => holder)
  }

  function ofGang(gang: string, except: string): SeenXid[] {
    return nodes
      .list()
      .filter(({ metadata }) => metadata.name !== except)
      .flatMap(xidsSeenOn)
      .filter(({ of }) => of.some((holder) => holder.startsWith(`${gang}/`)))
  }

  function behind(gang: Gang, cause: End, ailing: ReadonlySet<string>): End {
    if (!mayBeOfGpu(cause)) return cause
    // Who loses a peer may end first; but not where the others go on: what a GPU told there is nothing to who is well on it.
    const members = (seatsNow(gang)?.members ?? []).filter(({ pod }) => !membersRejoin(gang) || ailing.has(pod))
    const found = [...new Set(members.map(({ node }) => node))].flatMap((name) => {
      const node = nodes.get({ name })
      return node === undefined ? [] : explaining(gang, node, members)
    })
    const own = (one: { seat: Seat }) => (one.seat.pod === cause.pod ? 1 : 0)
    const [first] = found.toSorted((a, b) => weight(b) - weight(a) || own(b) - own(a) || a.seat.rank - b.seat.rank)
    if (first === undefined) return cause
    const { seat, xid, whose } = first
    const ends = seat.pod === cause.pod ? said(cause) : `${cause.pod} ${said(cause)}`
    return {
      ...cause,
      pod: seat.pod,
      rank: seat.rank,
      node: seat.node,
      kind: whose === 'machine' ? 'gpu' : 'fault',
      reason: `XID${xid.xid}`,
      message: `${xidSaid(xid)}; ${ends}`,
    }
  }

  /** What of the node's XIDs may explain an end, and who of the gang held that GPU then: all there, where nobody can tell. */
  function explaining(gang: Gang, node: Node, members: readonly Seat[]) {
    const read = xidsToldBy(node)
    if (read === undefined || 'problem' in read) return []
    const there = members.filter((seat) => seat.node === node.metadata.name)
    const seen = new Map(xidsSeenOn(node).map((one) => [keyOf(one), one]))
    return read.xids.flatMap((xid) => {
      const whose = blames(xid)
      const { seenMs = clock.now(), of = holdersOn(node, xid.device) } = seen.get(keyOf(xid)) ?? {}
      if (whose === undefined || clock.now() - seenMs > explainsMs) return []
      return there.filter((seat) => of.includes(holderOf(gang, seat))).map((seat) => ({ seat, xid, whose }))
    })
  }

  return { look, behind }
}

/** Acts on XIDs as they are told, whether or not anything has failed yet. */
export function createXids(context: Context): Reconciler {
  const xids = createNodeXids(context)
  return {
    name: 'xids',
    watches: [
      {
        kind: 'Node',
        keys: ({ metadata: { name, annotations } }) => (annotations?.[annotation.xids] === undefined ? [] : [name]),
      },
    ],
    reconcile: async (name) => {
      const looked = await xids.look(name)
      return looked === 'stale' ? again(staleMs) : looked
    },
  }
}

/** What a GPU that fails may look like from outside. */
function mayBeOfGpu({ kind }: End): boolean {
  return kind === 'exit' || kind === 'killed' || kind === 'hung' || kind === 'stalled'
}

function weight({ whose }: { whose: 'machine' | 'either' }): number {
  return whose === 'machine' ? 1 : 0
}

/** No other member of the gang, in whichever attempt, has a pod of that name. */
function holderOf({ metadata }: Gang, { pod }: Seat): string {
  return `${metadata.uid ?? ''}/${pod}`
}

/** Of a device that the node lists. */
function idOf(node: Node, device: string): string | undefined {
  return listedDevices(node).find(({ id, uuid }) => id === device || uuid === device)?.id
}

function holds({ devices }: Seat, id: string): boolean {
  return devices.some((device) => device.id === id)
}
