/**
 * XIDs: the numbers by which NVIDIA's driver says in the kernel's log what is wrong with a GPU. What each is and what it asks
 * for: NVIDIA's Xid catalogue (docs.nvidia.com/deploy/xid-errors), in the short form that gpud has of it
 * (facts/reliability.md §1.4).
 *
 * - 'restart': the application starts again; on one GPU again and again it is the GPU's fault, on several the application's;
 * - 'reset': work leaves, and the GPU is reset; 'reset later': when what runs there has ended by itself;
 * - 'links': work leaves, and somebody looks at the NVLinks; 'reboot': the node starts anew, or is replaced;
 * - 'told': the driver says itself what it asks for, in `action`;
 * - 'follow': it comes with another, which says what is to be done; 'watch', 'ignore': nothing.
 */
export type XidAction =
  | 'restart'
  | 'reset'
  | 'reset later'
  | 'links'
  | 'reboot'
  | 'told'
  | 'follow'
  | 'watch'
  | 'ignore'

export interface XidInfo {
  /** What it means, in NVIDIA's words or nearly so. */
  name: string
  action: XidAction
  /** Whether what computes on the GPU comes to its end with it. */
  ends: boolean
}

/** Undefined for a number that we do not know: nothing follows from it. */
export function xidInfo(xid: number): XidInfo | undefined {
  return catalogue.get(xid)
}

const ending = (action: XidAction, name: string): XidInfo => ({ name, action, ends: true })
const harmless = (action: XidAction, name: string): XidInfo => ({ name, action, ends: false })

const catalogue: ReadonlyMap<number, XidInfo> = new Map([
  [13, ending('restart', 'graphics engine exception')],
  [31, ending('restart', 'GPU memory page fault')],
  [43, ending('ignore', 'GPU stopped processing')],
  [45, ending('follow', 'preemptive cleanup, due to previous errors')],
  [46, ending('reset', 'GPU stopped processing')],
  [48, ending('reset', 'double bit ECC error')],
  [62, ending('reset', 'internal micro-controller halt')],
  [63, harmless('reset later', 'row remapping recorded')],
  [64, ending('reset', 'row remapping failed')],
  [74, ending('links', 'NVLink error')],
  [79, ending('reboot', 'GPU has fallen off the bus')],
  [92, harmless('watch', 'high single-bit ECC error rate')],
  [94, ending('restart', 'contained ECC error')],
  [95, ending('reset', 'uncontained ECC error')],
  [109, ending('reset', 'context switch timeout')],
  [119, ending('reset', 'GSP RPC timeout')],
  [120, ending('reset', 'GSP error')],
  [140, ending('reset', 'unrecovered ECC error')],
  [143, ending('reset', 'GPU initialization failure')],
  [144, ending('links', 'NVLink: SAW error')],
  [145, ending('links', 'NVLink: RLW error')],
  [146, ending('links', 'NVLink: TLW error')],
  [147, ending('links', 'NVLink: TREX error')],
  [148, ending('links', 'NVLink: NVLPW_CTRL error')],
  [149, ending('links', 'NVLink: NETIR error')],
  [150, ending('links', 'NVLink: MSE error')],
  [154, harmless('told', 'GPU recovery action changed')],
  [158, ending('reset', 'GPU fatal timeout')],
])

/** All of them, in order. */
export const xidsKnown: readonly number[] = [...catalogue.keys()]
