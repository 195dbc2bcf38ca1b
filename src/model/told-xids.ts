import { z } from 'zod'
import { type FieldError, fieldError } from './field-error.ts'
import type { Node } from './kinds/kubernetes.ts'
import { annotation } from './names.ts'

/**
 * XIDs that a node tells: annotation `millwright.dev/xids`, a JSON list, written by whoever reads the kernel's log there. They
 * are evidence, and may be wrong or forged: what follows from them is recovery's, within its budget.
 */

/** The actions that XID 154 carries, in the words of `nvidia-smi`'s "GPU Recovery Action". */
export const recoveryActions = ['none', 'reset', 'reboot', 'drain-p2p', 'drain-and-reset'] as const

export const xidNumber = z.number().int().min(1).max(9999)

/** As a device plugin, `nvidia-smi` or the kernel calls a GPU: `gpu-3`, `GPU-5f4c…`, `PCI:0000:b4:00`. Never more than a word. */
const device = z
  .string()
  .max(96)
  .regex(/^[A-Za-z0-9][A-Za-z0-9:._/-]*$/, 'an id, a UUID or a PCI address')

const toldXid = z
  .strictObject({
    xid: xidNumber,
    device,
    /** By the node's clock: it tells this one from others of its number, and from nothing else. */
    at: z.iso.datetime({ offset: true }),
    action: z.enum(recoveryActions).optional(),
  })
  .refine(({ xid, action }) => (xid === 154) === (action !== undefined), {
    path: ['action'],
    error: `goes with XID 154, and with that alone: ${recoveryActions.join(', ')}`,
  })

export type ToldXid = z.output<typeof toldXid>

/** The newest suffice; more than any machine tells in a day, and nothing that would fill a store. */
export const toldXidsMax = 32
const textMax = 16_384
const toldXids = z.array(toldXid).max(toldXidsMax)

export type ReadXids = { xids: readonly ToldXid[] } | { problem: string }

/** What the node tells; undefined where nobody says anything. Never throws. */
export function xidsToldBy({ metadata }: Pick<Node, 'metadata'>): ReadXids | undefined {
  const text = metadata.annotations?.[annotation.xids]
  return text === undefined ? undefined : readXids(text)
}

function readXids(text: string): ReadXids {
  if (text.length > textMax) return { problem: `is longer than ${textMax} characters` }
  try {
    const parsed = toldXids.safeParse(JSON.parse(text))
    if (parsed.success) return { xids: parsed.data }
    const [issue] = parsed.error.issues
    return { problem: `${issue?.path.map((step) => `[${String(step)}]`).join('') ?? ''}: ${issue?.message ?? ''}` }
  } catch {
    return { problem: 'is no JSON' }
  }
}

/** For whoever writes a Node through our API; on Kubernetes nobody is asked. */
export function toldXidErrors(annotations: Readonly<Record<string, unknown>>): FieldError[] {
  const text = annotations[annotation.xids]
  const read = typeof text === 'string' ? readXids(text) : undefined
  if (read === undefined || !('problem' in read)) return []
  const allowed = `a JSON list of at most ${toldXidsMax} {"xid", "device", "at"}, of 154 with "action"`
  return [fieldError(['metadata', 'annotations', annotation.xids], read.problem, { allowed })]
}

/** What the annotation becomes with one more: the oldest go. */
export function withToldXid(node: Pick<Node, 'metadata'>, told: ToldXid): string {
  const before = xidsToldBy(node)
  const known = before !== undefined && 'xids' in before ? before.xids : []
  return JSON.stringify([...known, told].slice(-toldXidsMax))
}
