import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { faults, lastsMsOf, noticeMsOf } from '../model/faults.ts'
import type { Drill } from '../model/kinds/drill.ts'
import { refOf } from '../model/refs.ts'
import type { Store } from '../store/contract.ts'
import { createInformer } from '../store/informer.ts'
import { deedsOf, type Hand } from './hand.ts'

export interface Drills {
  /** Undoes what lasts, so that nothing is left standing still. */
  stop(): Promise<void>
}

export interface DrillsOptions {
  store: Store
  clock: Clock
  random: Random
  log: Log
  hand: Hand
}

const retryMs = 1_000

/**
 * Carries drills out, behind the back of agents and control plane. The control plane has chosen what is struck. That it
 * strikes is written first, by compare-and-set, and so it strikes at most once, whatever dies in between. What lasts is
 * undone when its time is over, the drill is deleted, or this is stopped; after a restart, too.
 */
export function startDrills({ store, clock, random, log, hand }: DrillsOptions): Drills {
  const deeds = deedsOf(hand, { store, clock })
  const drills = createInformer({ store, clock, random, log, kind: 'Drill' })
  /** Struck by this life of ours and not undone yet. */
  const ours = new Set<string>()
  /** Why one that was to strike could not, or not wholly. */
  const failed = new Map<string, string>()
  const busy = new Set<string>()
  /** Changed while somebody was busy with them. */
  const missed = new Set<string>()
  const timers = new Map<string, Cancel>()
  let isStopped = false

  function look(drill: Drill): void {
    const { uid = '', deletionTimestamp } = drill.metadata
    const { target, struckAt, mendedAt, refused } = drill.status ?? {}
    if (isStopped || target === undefined || refused !== undefined || mendedAt !== undefined) return
    if (busy.has(uid)) missed.add(uid)
    else if (failed.has(uid)) once(uid, () => mend(drill))
    else if (struckAt !== undefined) wait(uid, drill, struckAt)
    else if (deletionTimestamp === undefined) once(uid, () => strike(drill))
  }

  /** One thing at a time to a drill; what could not be done is tried again. */
  function once(uid: string, act: () => Promise<void>): void {
    cancel(uid)
    busy.add(uid)
    act()
      .catch((error: unknown) => {
        log.warn('a drill could not be carried out and is tried again', { drill: uid, error: messageOf(error) })
        timers.set(
          uid,
          clock.after(retryMs, () => lookAgain(uid)),
        )
      })
      .finally(() => {
        busy.delete(uid)
        if (missed.delete(uid)) lookAgain(uid)
      })
  }

  function lookAgain(uid: string): void {
    const now = drills.list().find(({ metadata }) => metadata.uid === uid)
    if (now !== undefined) look(now)
  }

  function cancel(uid: string): void {
    timers.get(uid)?.()
    timers.delete(uid)
  }

  async function strike(drill: Drill): Promise<void> {
    const problem = await problemWith(drill)
    if (problem !== undefined) return await tell(drill, { refused: problem })
    const { uid, resourceVersion } = drill.metadata
    const status = { struckAt: new Date(clock.now()).toISOString() }
    const written = await store.patch('Drill', refOf(drill), { status }, { status: true, uid, resourceVersion })
    if (typeof written === 'string') return // it is another by now, and comes again
    ours.add(uid ?? '')
    drills.wrote(written)
    log.info('a drill strikes', { drill: drill.metadata.name, fault: drill.spec.fault.kind })
    try {
      await deeds[written.spec.fault.kind].strike(written)
    } catch (error) {
      // It strikes no second time: what it has done is undone, and the drill has failed.
      failed.set(uid ?? '', `it could not strike: ${messageOf(error)}`)
      log.warn('a drill could not strike', { drill: drill.metadata.name, error: messageOf(error) })
      await mend(written)
    }
  }

  async function problemWith({ spec, status }: Drill): Promise<string | undefined> {
    const { kind } = spec.fault
    const problem = deeds[kind].problem?.(status?.target?.nodes ?? [])
    if (problem !== undefined || faults[kind].strikes !== 'process') return problem
    for (const { name, namespace, uid } of status?.target?.pods ?? []) {
      const pod = await store.get('Pod', { name, namespace })
      if (pod?.metadata.uid !== uid || pod.status?.phase !== 'Running')
        return `pod ${name} had ended before it could be struck; run the drill again`
    }
    return undefined
  }

  /** Until it is undone. Whatever is no process died with the life of ours that struck, and its effect with it. */
  function wait(uid: string, drill: Drill, struckAt: string): void {
    if (deeds[drill.spec.fault.kind].undo === undefined) return
    const isStale = !ours.has(uid) && drill.spec.fault.kind !== 'hang'
    const { fault } = drill.spec
    const lastsMs = lastsMsOf(fault)
    const isOver = isStale || drill.metadata.deletionTimestamp !== undefined
    if (!isOver && lastsMs === undefined) return
    const restMs = isOver ? 0 : Date.parse(struckAt) + noticeMsOf(fault) + (lastsMs ?? 0) - clock.now()
    const end = (): void => once(uid, () => mend(drill))
    cancel(uid)
    if (restMs > 0) timers.set(uid, clock.after(restMs, end))
    else end()
  }

  async function mend(drill: Drill): Promise<void> {
    const { uid = '' } = drill.metadata
    await deeds[drill.spec.fault.kind].undo?.(drill)
    ours.delete(uid)
    const refused = failed.get(uid)
    await tell(drill, {
      mendedAt: new Date(clock.now()).toISOString(),
      ...(refused === undefined ? {} : { refused }),
    })
    failed.delete(uid)
  }

  async function tell(drill: Drill, status: { mendedAt?: string; refused?: string }): Promise<void> {
    const written = await store.patch('Drill', refOf(drill), { status }, { status: true, uid: drill.metadata.uid })
    if (typeof written !== 'string') drills.wrote(written)
  }

  /** Something of it may be. */
  function isThere({ spec, status }: Drill): boolean {
    const lasts = deeds[spec.fault.kind].undo !== undefined
    return lasts && status?.struckAt !== undefined && status.mendedAt === undefined
  }

  drills.onChange(({ type, object }) => {
    if (type !== 'DELETED') return look(object)
    const { uid = '' } = object.metadata
    cancel(uid)
    const { undo } = deeds[object.spec.fault.kind]
    if (ours.delete(uid) && undo !== undefined && object.status?.mendedAt === undefined) once(uid, () => undo(object))
  })
  drills.start()

  return {
    async stop() {
      if (isStopped) return
      isStopped = true
      for (const uid of [...timers.keys()]) cancel(uid)
      for (const drill of drills.list().filter(isThere))
        await mend(drill).catch((error: unknown) => log.warn('a drill is not undone', { error: messageOf(error) }))
      drills.stop()
    },
  }
}
