import { z } from 'zod'
import { health } from '../../model/health.ts'
import type { Node } from '../../model/kinds/kubernetes.ts'
import type { ToldXid } from '../../model/told-xids.ts'
import { xidInfo } from '../../model/xids.ts'

/**
 * XIDs of a node that recovery has dealt with, on the node itself: whoever leads next does nothing twice, and knows what came
 * back. It stays when the node is opened again.
 */
export const xidsSeenAnnotation = 'millwright.dev/xids-seen'

const seenXid = z.object({
  xid: z.number(),
  device: z.string(),
  /** As it was told: what makes it this one. */
  at: z.string(),
  action: z.string().optional(),
  /** By our own clock. */
  seenMs: z.number(),
  /** Who held the device then, as `uid/pod` of a gang; of a device that the node does not list all who sat there. */
  of: z.array(z.string()).default([]),
  /** The node was closed for it. */
  closed: z.boolean().optional(),
  /** It was to be, and could not. */
  refused: z.boolean().optional(),
})

export type SeenXid = z.output<typeof seenXid>
const seenXids = z.array(seenXid)

/** Repeats count for a day, as NVSentinel's do, and closings for a week, as other remediations (facts/reliability.md §4). */
const repeatMs = 1000 * health.xidAgain.withinSeconds
const rememberedMs = 1000 * health.xidClosings.withinSeconds
const seenMax = 64
/** A burst of the same is one: so failures that come together are. */
const togetherMs = 1000 * health.sameFailure.at
/** An XID is taken together with what its GPU told within so long; 154 comes with the one that it is about. */
const linkedMs = 1000 * health.xidLinked.at
/** The same still there after two remediations: the hardware is to be inspected (gpud, facts/reliability.md §1.4). */
const closingsMax = health.xidClosings.at

export function xidsSeenOn({ metadata }: Pick<Node, 'metadata'>): SeenXid[] {
  try {
    const parsed = seenXids.safeParse(JSON.parse(metadata.annotations?.[xidsSeenAnnotation] ?? '[]'))
    return parsed.success ? parsed.data : []
  } catch {
    return [] // a hand edited it: counting starts anew
  }
}

export interface Told {
  told: readonly ToldXid[]
  seen: readonly SeenXid[]
  /** Who holds this device of the node, as `uid/pod`. */
  holdersOf(device: string): readonly string[]
  /** XIDs that other nodes told of GPUs that this gang (its uid) held. */
  elsewhere(gang: string): readonly SeenXid[]
}

export interface Judgement {
  /** What the node's record becomes. */
  seen: readonly SeenXid[]
  /** 'close': it takes no new work. 'leave': and what runs there leaves. */
  wants: 'nothing' | 'close' | 'leave'
  /** What it is closed for, and what a person is to do there. */
  because: string
  /** The one that asks for it. */
  asks: SeenXid | undefined
  /** Told for the first time, of a number that nobody knows. */
  unknown: readonly SeenXid[]
}

/** Pure: what is to be done with a node that tells these XIDs, each of which is acted on once. */
export function judge({ told, seen, holdersOf, elsewhere }: Told, nowMs: number): Judgement {
  const known = new Map(seen.map((one) => [keyOf(one), one]))
  const isTold = new Set(told.map(keyOf))
  const fresh = new Map<string, SeenXid>()
  for (const one of told)
    if (!known.has(keyOf(one)))
      fresh.set(keyOf(one), { ...one, seenMs: nowMs, of: [...holdersOf(one.device)].slice(0, 16) })
  const kept = seen.filter((one) => isTold.has(keyOf(one)) || nowMs - one.seenMs < rememberedMs)
  const all = [...kept, ...fresh.values()].slice(-seenMax)
  const pending = kept.filter((one) => one.refused === true && isTold.has(keyOf(one)) && nowMs - one.seenMs < repeatMs)
  const wishes = [...pending, ...fresh.values()].map((one) => ({ one, ...wishOf(one, all, elsewhere, nowMs) }))
  const [worst] = wishes.toSorted((a, b) => weight(b) - weight(a))
  return {
    seen: all,
    wants: worst?.wants ?? 'nothing',
    because: worst === undefined ? '' : `${xidSaid(worst.one)}: ${worst.advice}`,
    asks: worst?.one,
    unknown: [...fresh.values()].filter(({ xid }) => xidInfo(xid) === undefined),
  }
}

/** The record with this said of one of them. */
export function marked(seen: readonly SeenXid[], asks: SeenXid, as: 'closed' | 'refused'): SeenXid[] {
  return seen.map((one) => {
    if (keyOf(one) !== keyOf(asks)) return one
    const { refused: _, ...rest } = one
    return { ...rest, [as]: true }
  })
}

/** As people read it. */
export function xidSaid({ xid, device }: Pick<ToldXid, 'xid' | 'device'>): string {
  const info = xidInfo(xid)
  return `XID ${xid} on ${device}${info === undefined ? '' : ` (${info.name})`}`
}

/**
 * Whether it speaks against the GPU, so that whatever ended by it is the machine's failure ('machine'), or may as well be the
 * application's own ('either'). Undefined: it ends nothing.
 */
export function blames({ xid }: Pick<ToldXid, 'xid'>): 'machine' | 'either' | undefined {
  const info = xidInfo(xid)
  if (info === undefined || info.action === 'ignore' || info.action === 'follow' || info.action === 'watch')
    return undefined
  if (info.action === 'restart') return 'either'
  return info.ends ? 'machine' : undefined
}

export function keyOf({ xid, device, at }: Pick<ToldXid, 'xid' | 'device' | 'at'>): string {
  return `${xid} ${device} ${at}`
}

interface Wish {
  wants: Judgement['wants']
  advice: string
}

const nothing: Wish = { wants: 'nothing', advice: '' }

/** What the driver asks for in XID 154. */
const asked: Readonly<Record<string, Wish>> = {
  none: nothing,
  reset: { wants: 'leave', advice: 'reset the GPU' },
  reboot: { wants: 'leave', advice: 'start the node anew' },
  'drain-p2p': { wants: 'leave', advice: 'wait until nothing there uses peer-to-peer access, and reset the GPU' },
  'drain-and-reset': { wants: 'leave', advice: 'reset the GPU' },
}

function wishOf(one: SeenXid, all: readonly SeenXid[], elsewhere: Told['elsewhere'], nowMs: number): Wish {
  const { action } = xidInfo(one.xid) ?? {}
  if (action === 'restart') return repeats(one, all, elsewhere, nowMs) ? diagnosis : nothing
  const wish = wishOfTable(one)
  if (wish.wants === 'nothing' || isNotNeeded(one, all)) return nothing
  const closings = all.filter((other) => other.closed === true && isSame(other, one)).length
  if (closings < closingsMax) return wish
  return {
    ...wish,
    advice: `have the hardware inspected, for the node was closed for that ${closings} times in a week`,
  }
}

const diagnosis: Wish = { wants: 'close', advice: 'again within a day; diagnose the GPU' }

function wishOfTable({ xid, action }: SeenXid): Wish {
  switch (xidInfo(xid)?.action) {
    case 'reset':
      return { wants: 'leave', advice: 'reset the GPU' }
    case 'reset later':
      return { wants: 'close', advice: 'reset the GPU when what runs there has ended' }
    case 'links':
      return { wants: 'leave', advice: 'look at its NVLinks, and reset the GPU or start the node anew' }
    case 'reboot':
      return { wants: 'leave', advice: 'start the node anew, or replace it' }
    case 'told':
      return asked[action ?? ''] ?? nothing
    default:
      return nothing
  }
}

/** The driver itself says of this GPU that nothing is to be done. */
function isNotNeeded(one: SeenXid, all: readonly SeenXid[]): boolean {
  return all.some(
    (other) =>
      other.action === 'none' &&
      other.device === one.device &&
      Math.abs(Date.parse(other.at) - Date.parse(one.at)) <= linkedMs,
  )
}

/**
 * On this GPU again, and of its gang on no other: who has the same on one GPU after another is to blame himself, so that of the
 * nodes that it comes to no more than one is closed.
 */
function repeats(one: SeenXid, all: readonly SeenXid[], elsewhere: Told['elsewhere'], nowMs: number): boolean {
  const recent = (other: SeenXid) => other.xid === one.xid && nowMs - other.seenMs < repeatMs
  const before = all.filter(
    (other) => isSame(other, one) && recent(other) && Math.abs(other.seenMs - one.seenMs) >= togetherMs,
  )
  if (before.length + 1 < health.xidAgain.at) return false
  return !one.of
    .map(gangOf)
    .some(
      (gang) =>
        elsewhere(gang).some(recent) ||
        all.some((other) => other.device !== one.device && recent(other) && other.of.some((of) => gangOf(of) === gang)),
    )
}

function gangOf(holder: string): string {
  return holder.split('/')[0] ?? ''
}

function isSame(a: SeenXid, b: SeenXid): boolean {
  return a.xid === b.xid && a.device === b.device
}

/** What the driver asks for itself goes first. */
function weight({ one, wants }: { one: SeenXid; wants: Judgement['wants'] }): number {
  return { nothing: 0, close: 2, leave: 4 }[wants] + (one.xid === 154 ? 1 : 0)
}
