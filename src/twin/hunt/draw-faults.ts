import type { NodeDescription } from '../../agent/contract.ts'
import { behindMax } from '../../model/faults.ts'
import { recoveryActions } from '../../model/told-xids.ts'
import type { Draw } from '../draw.ts'
import { type AtHold, atHold, type Fault, ofGateway } from './history.ts'

export function drawFaults(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number, fencing: boolean): Fault[] {
  const meanMs = safetyMs / draw.one([4, 10, 25])
  const faults: Fault[] = []
  for (let atMs = draw.wait(meanMs), follows = false, node = ''; atMs < safetyMs * 0.9; ) {
    const isThere = follows && draw.chance(0.5)
    if (!isThere) node = draw.one(nodes).name
    const forMs = Math.round(draw.wait(draw.one([2_000, 20_000, 90_000, 300_000])))
    const when = { atMs: Math.round(atMs), forMs }
    const kind = draw.one(kinds)
    if (kind === 'crash control at write')
      faults.push({ ...when, kind, of: draw.one(['any', 'Gang', 'Pod']), ...drawPoint(draw, 12) })
    // Without fences in the store nothing keeps it out.
    else if (kind === 'pause control at write')
      faults.push(fencing ? { ...when, kind, writes: draw.int(1, 30) } : { ...when, kind: 'pause control' })
    else if (kind === 'crash agent at write') faults.push({ ...when, kind, node, ...drawPoint(draw, 8) })
    else if (kind === 'kill rank at stop')
      faults.push({ ...when, kind, afterMs: draw.int(0, 5000), pick: draw.int(0, 1_000_000) })
    else if (kind === 'at hold')
      faults.push({ ...when, kind, afterMs: draw.one([0, draw.int(0, 2000)]), acts: drawActs(draw) })
    else if (isOfRank(kind)) faults.push({ ...when, kind, pick: draw.int(0, 1_000_000), ...(isThere ? { node } : {}) })
    else if (isOfOne(kind)) faults.push({ ...when, kind, pick: draw.int(0, 1_000_000) })
    else if (isOfNode(kind)) faults.push({ ...when, kind, node })
    else faults.push({ ...when, kind })
    // Often one comes with another, and where that one was.
    follows = draw.chance(0.3)
    atMs += follows ? draw.int(0, 3000) : draw.wait(meanMs)
  }
  return faults
}

/** One that is slow for so long that work may leave it: among others they seldom are. */
export function drawSlow(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  if (!draw.chance(0.25)) return []
  const atMs = draw.int(0, Math.floor(safetyMs / 2))
  return [{ atMs, forMs: draw.int(120_000, 600_000), kind: 'slow node', node: draw.one(nodes).name }]
}

/** Of most histories none. */
export function drawStorageFaults(draw: Draw, safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.7, most: 3 }, () => {
    const kind = draw.one(['storage-slow', 'storage-outage', 'storage-outage', 'storage-full'] as const)
    return kind === 'storage-slow' ? { kind, slowness: draw.one([3, 30]) } : { kind }
  })
}

/** Disks that are full, of most histories none. */
export function drawDiskFaults(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.8, most: 2 }, () => ({
    kind: 'disk-full',
    node: draw.one(nodes).name,
  }))
}

/** What GPUs tell by number, mostly of one node: what comes again is another matter. */
export function drawXids(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  if (draw.chance(0.75)) return []
  const usual = draw.one(nodes).name
  return Array.from({ length: draw.int(1, 5) }, () => {
    const node = draw.chance(0.7) ? usual : draw.one(nodes).name
    const [xid, action] = [draw.one(xids), draw.one(recoveryActions)]
    const fault = { ...drawWhen(draw, safetyMs), kind: 'gpu-error' as const, node, pick: draw.int(0, 1_000_000), xid }
    return xid === 154 ? { ...fault, action } : fault
  })
}

/** GPUs that are gone, mostly of one node, and back so soon that some come back before anybody has acted. */
export function drawGpuLosses(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  const usual = draw.one(nodes).name
  return Array.from({ length: draw.int(1, 4) }, () => ({
    ...drawWhen(draw, safetyMs),
    kind: 'gpu-loss',
    node: draw.chance(0.6) ? usual : draw.one(nodes).name,
    pick: draw.int(0, 1_000_000),
    toldAfterMs: draw.one([0, 10_000, 40_000]),
  }))
}

export function drawNetworkFaults(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.7, most: 3 }, () => {
    const node = draw.one(nodes).name
    if (draw.chance(0.5)) return { kind: 'network-flap', node }
    return { kind: 'network-partition', node, ...(draw.chance(0.5) ? { reach: 'rack' } : {}) }
  })
}

/** They are seldom read: one alone would seldom be. */
export function drawCopyFaults(draw: Draw, safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.5, most: 8 }, () => ({
    kind: 'rot copy',
    pick: draw.int(0, 1_000_000),
  }))
}

/** What people do with work that is there: of most histories little. */
export function drawPeople(draw: Draw, safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.5, most: 4 }, () => {
    const pick = draw.int(0, 1_000_000)
    const kind = draw.one(ofWork)
    if (kind === 'delete work') return { kind, pick, again: draw.chance(0.5) }
    return { kind, pick, wanted: kind === 'edit priority' ? draw.one([0, 10, 100, 200]) : draw.int(1, 4) }
  })
}

/** A fleet that shrinks and grows: of most histories none. */
export function drawFleetChanges(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.8, most: 3 }, () => ({
    kind: 'delete node',
    node: draw.one(nodes).name,
    isLost: draw.chance(0.7),
  }))
}

/** Quota that moves from queue to queue. */
export function drawQuotaChanges(draw: Draw, safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.7, most: 3 }, () => ({
    kind: 'share quota',
    percent: draw.int(0, 100),
  }))
}

/** A pool that is edited: of most histories none. */
export function drawPoolChanges(draw: Draw, safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.7, most: 3 }, () => ({
    kind: 'edit pool',
    price: draw.one([0, 1, 2.5]),
    spares: draw.one([0, 0, 1]),
  }))
}

/** Of most histories none. */
export function drawLate(draw: Draw, safetyMs: number): Fault[] {
  if (draw.chance(0.7)) return []
  return Array.from({ length: draw.int(1, 3) }, () => ({
    ...drawWhen(draw, safetyMs),
    kind: 'late control',
    lateMs: draw.one([300, 1_000, 3_000]),
  }))
}

/** For longer nobody leads who begins beside it. */
const behindMsMax = 30_000

/** Servers that are behind, of most histories none. */
export function drawStale(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  if (draw.chance(0.7)) return []
  return Array.from({ length: draw.int(1, 4) }, () => {
    const { atMs, forMs } = drawWhen(draw, safetyMs)
    const when = { atMs, forMs: Math.min(forMs, behindMsMax), writes: draw.one([1, 20, behindMax, behindMax]) }
    const kind = draw.one(['stale control', 'stale control', 'stale agent', ...ofViews] as const)
    return kind === 'stale agent' ? { ...when, kind, node: draw.one(nodes).name } : { ...when, kind }
  })
}

/** More of what strikes while others are to leave for a gang: whoever waits for that is not far. */
export function drawHolds(draw: Draw, safetyMs: number): Fault[] {
  if (draw.chance(0.6)) return []
  return Array.from({ length: draw.int(1, 3) }, () => {
    const afterMs = draw.one([0, draw.int(0, 2000)])
    return { ...drawWhen(draw, safetyMs), kind: 'at hold', afterMs, acts: drawActs(draw) }
  })
}

/** Clocks that somebody sets wrong: by seconds, by more than anybody waits for, by hours; of those that take part. */
export function drawClockFaults(draw: Draw, nodes: readonly NodeDescription[], safetyMs: number): Fault[] {
  return drawSeveral(draw, safetyMs, { none: 0.7, most: 3 }, () => {
    const byMs = draw.one([-1, 1]) * draw.one([2_000, 30_000, 300_000, 7_200_000])
    const kind = draw.one(['clock-jump', 'control-plane-clock-jump', 'control-plane-clock-jump', ...ofClocks] as const)
    return kind === 'clock-jump' ? { kind, node: draw.one(nodes).name, byMs } : { kind, byMs }
  })
}

/** None with the chance `none`, else one to `most`, each at a time of its own. */
function drawSeveral(draw: Draw, safetyMs: number, { none, most }: { none: number; most: number }, one: () => What) {
  if (draw.chance(none)) return []
  return Array.from({ length: draw.int(1, most) }, (): Fault => ({ ...drawWhen(draw, safetyMs), ...one() }))
}

type Timeless<F> = F extends unknown ? Omit<F, 'atMs' | 'forMs'> : never
/** What a fault does, whenever it strikes. */
type What = Timeless<Fault>

function drawWhen(draw: Draw, safetyMs: number): { atMs: number; forMs: number } {
  const atMs = draw.int(0, Math.floor(safetyMs * 0.9))
  return { atMs, forMs: Math.round(draw.wait(draw.one([10_000, 60_000, 300_000]))) }
}

function drawPoint(draw: Draw, writesMax: number): { writes: number; point: 'before' | 'after' } {
  return { writes: draw.int(1, writesMax), point: draw.one(['before', 'after']) }
}

function drawActs(draw: Draw): AtHold[] {
  const first = draw.one(atHold)
  const second = draw.one(atHold)
  return draw.chance(0.5) || first === second ? [first] : [first, second]
}

/** Of each that something else follows from, and one that nobody knows. */
const xids = [13, 31, 31, 48, 63, 74, 79, 94, 119, 154, 4242]
/** More of what changes most. */
const ofWork = ['delete work', 'delete work', 'edit priority', 'edit workers', 'edit replicas'] as const
const ofViews = ['stale ledger', 'stale gateway'] as const
const ofClocks = ['jump ledger', 'jump gateway'] as const
const ofRank = ['kill rank', 'hang rank', 'fail rank'] as const
const ofOne = ['rot checkpoint', 'suspend job', 'evict pod'] as const
const ofNode = [
  'crash agent',
  'pause agent',
  'cut agent',
  'break agent',
  'lose node',
  'lose rack',
  'cut rack',
  'slow node',
  'lemon',
  'hang under a new agent',
  'warn node',
  'cordon node',
] as const

const kinds = [
  ...ofRank,
  ...ofOne,
  ...ofNode,
  'crash control',
  'crash control at write',
  'crash control at write',
  'pause control',
  'pause control at write',
  'cut control',
  'break control',
  'pause standby',
  'cut standby',
  'break all',
  'crash agent at write',
  'crash agent at write',
  'cut agent',
  'cordon node',
  'suspend job',
  'evict pod',
  'hang rank',
  'kill rank at stop',
  'at hold',
  'at hold',
  'crash ledger',
  'pause ledger',
  'cut ledger',
  'break ledger',
] as const

type Kind = (typeof kinds)[number]

/** Drawn apart from the others, so that these stay what they were. */
const kindsApart = [
  ...ofGateway,
  ...ofWork,
  'delete node',
  'share quota',
  'edit pool',
  'late control',
  'stale control',
  'stale agent',
  ...ofViews,
  'storage-slow',
  'storage-outage',
  'storage-full',
  'network-flap',
  'network-partition',
  'disk-full',
  'gpu-error',
  'gpu-loss',
  'rot copy',
  'clock-jump',
  'control-plane-clock-jump',
  ...ofClocks,
] as const

export function isFaultKind(kind: unknown): kind is Fault['kind'] {
  return [...kinds, ...kindsApart].some((known) => known === kind)
}

function isOfRank(kind: Kind): kind is (typeof ofRank)[number] {
  return (ofRank as readonly Kind[]).includes(kind)
}

function isOfOne(kind: Kind): kind is (typeof ofOne)[number] {
  return (ofOne as readonly Kind[]).includes(kind)
}

function isOfNode(kind: Kind): kind is (typeof ofNode)[number] {
  return (ofNode as readonly Kind[]).includes(kind)
}
