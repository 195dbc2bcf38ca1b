import { z } from 'zod'
import { durationMs, readDuration } from './duration.ts'
import { duration } from './kinds/fields.ts'
import { forms } from './schema-fields.ts'
import { xidNumber } from './told-xids.ts'
import { xidInfo, xidsKnown } from './xids.ts'

/** What can be made to go wrong. Scenarios draw faults, a Drill names one: the kinds and their fields are the same. */
export const faultKinds = [
  'process-crash',
  'hang',
  'gpu-error',
  'gpu-loss',
  'node-loss',
  'straggler',
  'disk-full',
  'silent-data-corruption',
  'clock-jump',
  'network-flap',
  'network-partition',
  'watch-break',
  'store-slow',
  'storage-slow',
  'storage-outage',
  'storage-full',
  'control-plane-crash',
  'control-plane-pause',
  'control-plane-clock-jump',
  'control-plane-watch-break',
  'control-plane-store-slow',
] as const
export type FaultKind = (typeof faultKinds)[number]

const fieldNames = [
  'xid',
  'lasts',
  'reach',
  'notice',
  'slowness',
  'latency',
  'by',
  'toldAfter',
  'from',
  'behind',
  'kept',
  'delay',
] as const
type Field = (typeof fieldNames)[number]
export type FaultWorld = 'this machine' | 'twin'

export interface FaultInfo {
  happens: string
  /** What is struck: one process of the work, a node with all that runs on it, object storage, or the leader. */
  strikes: 'process' | 'node' | 'storage' | 'control plane'
  /** What may be said of it beside its kind. */
  fields: readonly Field[]
  /** For how long, when nobody says; undefined: until it is recovered from. */
  lastsDefault?: string
  worlds: readonly FaultWorld[]
}

export const faults: Readonly<Record<FaultKind, FaultInfo>> = {
  'process-crash': {
    happens: 'a process of the work ends by a signal',
    strikes: 'process',
    fields: [],
    worlds: ['this machine', 'twin'],
  },
  hang: {
    happens: 'a process stands still, and so does its job, until it goes on or somebody notices',
    strikes: 'process',
    fields: ['lasts'],
    worlds: ['this machine', 'twin'],
  },
  'gpu-error': {
    happens: 'the driver says `xid` of a GPU; the process that computes there ends, unless it is one that ends nothing',
    strikes: 'process',
    fields: ['xid', 'toldAfter'],
    worlds: ['this machine', 'twin'],
  },
  'gpu-loss': {
    happens:
      'one GPU of a node is gone: what computes there ends; `toldAfter` later its node says so, and has one less',
    strikes: 'process',
    fields: ['lasts', 'toldAfter'],
    // Until somebody has started the node anew: ours.
    lastsDefault: '1h',
    // On a machine its driver says what GPUs there are.
    worlds: ['twin'],
  },
  'node-loss': {
    happens: 'a node is gone with all that runs on it, and comes back; with `notice` it says so before',
    strikes: 'node',
    fields: ['lasts', 'reach', 'notice'],
    // As the spares of Llama 3's fleet are reckoned: facts/reliability.md §2.3.
    lastsDefault: '24h',
    worlds: ['this machine', 'twin'],
  },
  straggler: {
    happens: 'each step of a job on the node takes `slowness` times as long',
    strikes: 'node',
    fields: ['lasts', 'slowness'],
    lastsDefault: '1h',
    worlds: ['this machine', 'twin'],
  },
  'disk-full': {
    happens: 'the disk on which pods of a node have their folders is full: no checkpoint is written, no pod starts',
    strikes: 'node',
    fields: ['lasts', 'reach'],
    // Until somebody has deleted something: ours.
    lastsDefault: '1h',
    worlds: ['this machine', 'twin'],
  },
  'silent-data-corruption': {
    happens: 'a rank computes wrong results, which nobody reports and its loss shows after `latency`',
    strikes: 'process',
    fields: ['lasts', 'latency'],
    // One wrong result: what follows from it stays wrong.
    lastsDefault: '0s',
    worlds: ['twin'],
  },
  'clock-jump': {
    happens: 'somebody sets the clock of a node, `by` so much forwards or back, and later right again',
    strikes: 'node',
    fields: ['lasts', 'by', 'reach'],
    // Until a time service has noticed: ours.
    lastsDefault: '1h',
    worlds: ['twin'],
  },
  'network-flap': {
    happens: 'a NIC of the node is down: jobs that it shares with other nodes stand still; its agent is heard',
    strikes: 'node',
    fields: ['lasts'],
    // As long as ByteRobust takes to be sure of one (2509.16293): shorter ones it lets pass.
    lastsDefault: '30s',
    worlds: ['twin'],
  },
  'network-partition': {
    happens:
      'nodes reach each other, but no other node, storage or control plane, or all but that; what runs there runs on',
    strikes: 'node',
    fields: ['lasts', 'reach', 'from'],
    // Until somebody has replaced a switch: ours.
    lastsDefault: '1h',
    worlds: ['twin'],
  },
  'watch-break': {
    happens:
      "all watches of the node's agent end; a server that is `behind`, or has `kept` few writes, answers it as it lists anew",
    strikes: 'node',
    fields: ['lasts', 'reach', 'behind', 'kept'],
    // Until it has listed anew: ours.
    lastsDefault: '10s',
    worlds: ['twin'],
  },
  'store-slow': {
    happens: "the store answers the node's agent `delay` later, and as late it hears what its watches tell",
    strikes: 'node',
    fields: ['lasts', 'reach', 'delay'],
    // As object storage: ours.
    lastsDefault: '1h',
    worlds: ['twin'],
  },
  'storage-slow': {
    happens: 'checkpoints take `slowness` times as long to be stored and to be restored',
    strikes: 'storage',
    fields: ['lasts', 'slowness'],
    lastsDefault: '1h',
    worlds: ['twin'],
  },
  'storage-outage': {
    happens: 'object storage answers nothing; what is to be stored or restored waits for it, and work runs on',
    strikes: 'storage',
    fields: ['lasts'],
    lastsDefault: '10m',
    worlds: ['twin'],
  },
  'storage-full': {
    happens: 'object storage takes nothing more; what is there is read and deleted as ever, and work runs on',
    strikes: 'storage',
    fields: ['lasts'],
    lastsDefault: '1h',
    worlds: ['twin'],
  },
  'control-plane-crash': {
    happens: 'the leader dies without a word, and starts again; work runs on',
    strikes: 'control plane',
    fields: ['lasts'],
    lastsDefault: '10s',
    worlds: ['this machine', 'twin'],
  },
  'control-plane-pause': {
    happens: 'the leader stands still just as it writes something, which goes out when it wakes, whoever leads by then',
    strikes: 'control plane',
    fields: ['lasts'],
    // Longer than a lease, so that another one leads: ours.
    lastsDefault: '1m',
    // On a machine it shares its process with the API and the agents.
    worlds: ['twin'],
  },
  'control-plane-clock-jump': {
    happens: "somebody sets the leader's clock, `by` so much forwards or back, and later right again",
    strikes: 'control plane',
    fields: ['lasts', 'by'],
    lastsDefault: '1h',
    worlds: ['twin'],
  },
  'control-plane-watch-break': {
    happens:
      'all watches of the leader end; a server that is `behind`, or has `kept` few writes, answers it as it lists anew',
    strikes: 'control plane',
    fields: ['lasts', 'behind', 'kept'],
    lastsDefault: '10s',
    worlds: ['twin'],
  },
  'control-plane-store-slow': {
    happens: 'the store answers the leader `delay` later, and as late it hears what its watches tell',
    strikes: 'control plane',
    fields: ['lasts', 'delay'],
    lastsDefault: '1h',
    worlds: ['twin'],
  },
}

/** On some node; the others are at no place of the fleet. */
export function strikesNodes(kind: FaultKind): boolean {
  const { strikes } = faults[kind]
  return strikes === 'process' || strikes === 'node'
}

/** Whether what it struck may go on as if nothing had been: it ended nothing, and spoilt nothing. */
export function mayLeaveUnharmed(kind: FaultKind): boolean {
  return (
    kind !== 'process-crash' &&
    kind !== 'gpu-error' &&
    kind !== 'gpu-loss' &&
    kind !== 'node-loss' &&
    kind !== 'silent-data-corruption'
  )
}

/** What is done and undone by the twin alone, where nobody else comes to harm. */
export type TwinFault = Exclude<
  FaultKind,
  'process-crash' | 'hang' | 'gpu-error' | 'node-loss' | 'straggler' | 'disk-full' | 'control-plane-crash'
>

export function isOfTwin(kind: FaultKind): kind is TwinFault {
  return !faults[kind].worlds.includes('this machine')
}

/** About 10 % slow and persistent is what MegaScale found; this is one that nobody overlooks. */
export const slownessDefault = 1.5

/** Of training, until wrong results show in the loss: ours, as long as `failurePolicy.lossSpike` allows for. */
const latencyDefault = '1h'

/** Longer than all that waits for somebody to be heard of: ours. */
const byDefault = '5m'

/** More than anybody takes for a bad line, and less than who asks waits for an answer: ours. */
const delayDefault = '1s'

/** Writes that a server may be behind: more than a moment has, where histories of watches are kept. */
export const behindMax = 200

const reaches = ['nvlink', 'rack', 'block', 'zone'] as const

/** Of what a network may be cut: `all` is other nodes, storage and control plane. */
const froms = ['all', 'control-plane'] as const

/** What nodes share that are struck together, in words. */
export function reachSaid(reach: (typeof reaches)[number]): string {
  return reach === 'nvlink' ? 'NVLink domain' : reach
}

/**
 * A GPU that is lost, or whose driver hangs, as ByteRobust counts it (arXiv 2509.16293; facts/reliability.md §1.2). There a fault in
 * the kernel's log takes 2 s; that an XID is told before its process has ended is ours.
 */
const toldAfterDefault = { 'gpu-loss': '10s', others: '0s' } as const

/** How bad a fault is, beside where it strikes and for how long. */
export interface Harm {
  /** From when something ails a GPU until its node says so. */
  toldAfterMs: number
  slowness: number
  latencyMs: number
  /** How far a clock jumps: forwards, or back where it is negative. */
  byMs: number
  /** What nodes are cut off from. */
  from: (typeof froms)[number]
  /** So many writes behind is the server that answers. */
  behind: number
  /** So many of the last writes it keeps: watches from before end as expired. */
  kept: number
  /** So much later the store answers. */
  delayMs: number
}

export function harmOf({
  kind,
  slowness = slownessDefault,
  latency = latencyDefault,
  by = byDefault,
  toldAfter = toldAfterDefault[kind === 'gpu-loss' ? kind : 'others'],
  from = 'all',
  behind = 0,
  kept = Number.POSITIVE_INFINITY,
  delay = delayDefault,
}: HarmFields): Harm {
  const isBack = by.startsWith('-')
  return {
    toldAfterMs: durationMs(toldAfter),
    slowness,
    latencyMs: durationMs(latency),
    byMs: isBack ? -durationMs(by.slice(1)) : durationMs(by),
    from,
    behind,
    kept,
    delayMs: durationMs(delay),
  }
}

interface HarmFields {
  kind?: FaultKind | undefined
  slowness?: number | undefined
  latency?: string | undefined
  by?: string | undefined
  toldAfter?: string | undefined
  from?: Harm['from'] | undefined
  behind?: number | undefined
  kept?: number | undefined
  delay?: string | undefined
}

const jump = z
  .string()
  .superRefine((value, context) => {
    const read = readDuration(value.replace(/^-/, ''))
    if ('problem' in read) context.addIssue({ code: 'custom', message: `${read.problem}, with - before it for back` })
  })
  .register(forms, { form: 'duration' })

export const faultFields = {
  kind: z.enum(faultKinds).describe('What happens.'),
  xid: xidNumber.optional().describe("What NVIDIA's driver says of the GPU, by number: 79."),
  lasts: duration
    .optional()
    .describe(
      'Until a process goes on, a lost node or GPU is back, a straggler fast, a disk has room, a network, storage or store as ever, a node computes rightly, a clock is right, a control plane is back or wakes.',
    ),
  reach: z.enum(reaches).optional().describe('All nodes there are struck; else one.'),
  notice: duration
    .optional()
    .describe(
      'A node that will be lost says so so long before: 2m, as a spot instance on AWS; not at all when left out.',
    ),
  slowness: z
    .number()
    .min(1)
    .max(1000)
    .optional()
    .describe("A straggler's steps, or what slow storage stores and restores, take so many times as long."),
  latency: duration
    .optional()
    .describe('Of training, from a wrong result until the loss shows it: it is no number from then on.'),
  toldAfter: duration
    .optional()
    .describe(
      'From when a GPU is gone, or its process ends with an XID, until its node says so: 10s and 0s when left out.',
    ),
  from: z
    .enum(froms)
    .optional()
    .describe(
      'What nodes are cut off from: all, other nodes and storage too, when left out; or the control-plane alone.',
    ),
  behind: z
    .number()
    .int()
    .min(0)
    .max(behindMax)
    .optional()
    .describe('Whoever lists anew is shown what was so many writes ago, while the fault lasts: 0 when left out.'),
  kept: z
    .number()
    .int()
    .min(0)
    .optional()
    .describe(
      'So many of the last writes are kept, while the fault lasts: a watch from before ends as expired. All when left out.',
    ),
  delay: duration
    .optional()
    .describe('So much later the store answers: 1s when left out. Who asks gives up after 10s.'),
  by: jump.optional().describe('How far a clock jumps: 5m forwards (when left out), -5m back.'),
}

export function lastsMsOf({ kind, lasts }: { kind: FaultKind; lasts?: string | undefined }): number | undefined {
  const text = lasts ?? faults[kind].lastsDefault
  return text === undefined ? undefined : durationMs(text)
}

/** So long before it strikes it is known. */
export function noticeMsOf({ notice }: { notice?: string | undefined }): number {
  return notice === undefined ? 0 : durationMs(notice)
}

/** Fields that mean nothing for its kind, and the one that a kind cannot be without. */
export function faultProblems(
  fault: { kind: FaultKind } & { [F in Field]?: unknown },
): { at: Field; problem: string }[] {
  const { strikes, fields } = faults[fault.kind]
  const useless = fieldNames
    .filter((field) => fault[field] !== undefined && !fields.includes(field))
    .map((at) => {
      const of = faultKinds.filter((kind) => faults[kind].fields.includes(at)).join(', ')
      const why = at === 'lasts' && strikes === 'process' ? 'it is over at once' : `it is of a ${of}`
      return { at, problem: `must be left out of a ${fault.kind}: ${why}` }
    })
  return [...xidProblems(fault), ...useless]
}

/** 154 says what another one asks for: it strikes nothing by itself. */
function xidProblems({ kind, xid }: { kind: FaultKind; xid?: unknown }): { at: Field; problem: string }[] {
  if (kind !== 'gpu-error' || (xidInfo(Number(xid)) !== undefined && xid !== 154)) return []
  const known = xidsKnown.filter((one) => one !== 154).join(', ')
  const problem = xid === undefined ? 'is required of a gpu-error' : 'must be one that something follows from'
  return [{ at: 'xid', problem: `${problem}: ${known}` }]
}
