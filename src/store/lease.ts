import type { Clock } from '../base/clock.ts'
import type { Lease } from '../model/kinds/kubernetes.ts'
import type { Fence, Ref, Store } from './contract.ts'

/**
 * One contender for a lease (`coordination.k8s.io` Lease). `spec.leaseTransitions` is the fencing epoch: it rises with
 * every take-over, also by the same identity, because an older incarnation of it may still be alive somewhere.
 *
 * A dead holder is known by silence alone: the lease did not change for its duration, counted in steady time. `renewTime` is
 * written for people and never read, so that nobody's clock is compared with another's, and setting one takes no lease. We
 * hold ours for as long as neither steady time nor our clock says that it has run out: the one stands still while the machine
 * is suspended, the other may be put back. So `acquire` must be called more often than that; a contender that looks again
 * only after a long pause starts its count anew, as it cannot know what it slept through.
 */
export interface LeaseHolder {
  /** A new epoch, when we hold the lease now, also if we did before: what was sent under the old one is void. Else undefined. */
  acquire(): Promise<number | undefined>
  /** False: lost, and whatever we led we lead no longer. A failing store throws; then `holds()` decides. */
  renew(): Promise<boolean>
  /** Lets the next one in at once. */
  release(): Promise<void>
  /** Whether nobody else can have taken the lease yet. */
  holds(): boolean
  /** For every write made as the leader; undefined when we are not. */
  fence(): Fence | undefined
  /** The store's revision when we last wrote it: whoever shows less is behind. Undefined when it is not ours. */
  revision(): string | undefined
}

export interface LeaseOptions {
  store: Store
  clock: Clock
  ref: Ref
  /** Unique to this process' life: a name and a UUID. */
  identity: string
  durationMs: number
}

export function createLeaseHolder({ store, clock, ref, identity, durationMs }: LeaseOptions): LeaseHolder {
  let held: { lease: Lease; epoch: number; renewed: Moment } | undefined
  /** In steady time. */
  let seen: { resourceVersion: string; sinceMs: number; lookedAtMs: number } | undefined

  async function acquire(): Promise<number | undefined> {
    const asked = moment()
    const lease = (await store.get('Lease', ref)) ?? (await store.create('Lease', unheld()))
    if (lease === 'exists') return undefined
    const isStillOurs = held !== undefined && isOurs(lease, held.epoch)
    held = undefined
    if (!isStillOurs && isHeld(lease) && !isSilent(lease)) return undefined
    return won(asked, await store.update('Lease', takenOver(lease)))
  }

  function moment(): Moment {
    return { atMs: clock.now(), steadyMs: clock.steadyMs() }
  }

  /** Whether the holder let its whole duration pass without a sign of life. */
  function isSilent(lease: Lease): boolean {
    const nowMs = clock.steadyMs()
    const resourceVersion = lease.metadata.resourceVersion ?? ''
    const promisedMs = (lease.spec?.leaseDurationSeconds ?? durationMs / 1000) * 1000
    const known = seen?.resourceVersion === resourceVersion && nowMs - seen.lookedAtMs < promisedMs ? seen : undefined
    seen = { resourceVersion, sinceMs: known?.sinceMs ?? nowMs, lookedAtMs: nowMs }
    return nowMs - seen.sinceMs >= promisedMs
  }

  function won(asked: Moment, written: Lease | 'stale' | 'missing'): number | undefined {
    if (typeof written === 'string') return undefined
    seen = undefined
    held = { lease: written, epoch: epochOf(written), renewed: asked }
    return held.epoch
  }

  async function renew(): Promise<boolean> {
    if (held === undefined) return false
    const asked = moment() // before the write: nobody may count our silence from earlier than this
    const { lease, epoch } = held
    const written = await store.update('Lease', {
      ...lease,
      spec: { ...lease.spec, renewTime: microTime(asked.atMs) },
    })
    if (typeof written !== 'string') {
      held = { lease: written, epoch, renewed: asked }
      return true
    }
    const now = written === 'stale' ? await store.get('Lease', ref) : undefined
    if (now === undefined || !isOurs(now, epoch)) {
      held = undefined
      return false
    }
    held = { ...held, lease: now } // someone touched a label, or our own write was answered late
    return renew()
  }

  async function release(): Promise<void> {
    if (held === undefined) return
    const { lease } = held
    held = undefined
    await store.update('Lease', { ...lease, spec: { ...lease.spec, holderIdentity: '' } })
  }

  function holds(): boolean {
    if (held === undefined) return false
    const { atMs, steadyMs } = held.renewed
    return Math.max(clock.now() - atMs, clock.steadyMs() - steadyMs) < durationMs
  }

  const isOurs = (lease: Lease, epoch: number) => lease.spec?.holderIdentity === identity && epochOf(lease) === epoch

  function takenOver(lease: Lease): Lease {
    const now = microTime(clock.now())
    return {
      ...lease,
      spec: {
        ...lease.spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1000)),
        acquireTime: now,
        renewTime: now,
        leaseTransitions: nextEpoch(lease),
      },
    }
  }

  function unheld(): Lease {
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: ref.name, namespace: ref.namespace },
    }
  }

  return {
    acquire,
    renew,
    release,
    holds,
    fence: () => (held === undefined ? undefined : { lease: ref, epoch: held.epoch }),
    revision: () => held?.lease.metadata.resourceVersion,
  }
}

interface Moment {
  atMs: number
  steadyMs: number
}

/**
 * Anybody may delete a lease, and what was written under it stays. So the first epoch of a lease is the revision at which
 * it was made: the one before, whose epoch rose by one with a write each, came to less.
 */
function nextEpoch(lease: Lease): number {
  return (epochOf(lease) || Number(lease.metadata.resourceVersion)) + 1
}

export function epochOf(lease: Lease): number {
  return lease.spec?.leaseTransitions ?? 0
}

function isHeld(lease: Lease): boolean {
  return (lease.spec?.holderIdentity ?? '') !== ''
}

/** Kubernetes' MicroTime wants six digits. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z')
}
