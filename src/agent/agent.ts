import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Liveness } from '../base/liveness.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { Blobs } from '../blob/contract.ts'
import type { Gang } from '../model/kinds/gang.ts'
import type { Pod } from '../model/kinds/kubernetes.ts'
import { label } from '../model/names.ts'
import { involvedObjectOf, isOwnedBy } from '../model/refs.ts'
import { seatsNow } from '../model/seats.ts'
import { nodeSign } from '../model/signs.ts'
import type { Store } from '../store/contract.ts'
import { createInformer } from '../store/informer.ts'
import type { Copies, Member, NodeDescription, Notice, PodFiles, PodRunner, PodSignal } from './contract.ts'
import { createCopyKeeper } from './copies.ts'
import { heartbeat, registerNode } from './node.ts'
import { isOver } from './status.ts'
import { type Kit, type Supervisor, supervise } from './supervise.ts'

export interface AgentOptions {
  store: Store
  blobs: Blobs
  /** Left out: no node keeps any. */
  copies?: Copies | undefined
  clock: Clock
  liveness: Liveness
  random: Random
  log: Log
  runner: PodRunner
  files: PodFiles
  node: NodeDescription
  /** Least time between two reports of a pod that nobody waits for. */
  reportEveryMs?: number
}

/** Runs the pods bound to one node and reports what it sees. It may be killed at any time and started again. */
export interface Agent {
  /** Registers the node, finds the pods that an earlier agent left, and follows the store. */
  start(): Promise<void>
  /** 'leave': the pods run on and the next agent finds them. 'kill': they end, with `graceSeconds` to do it in. */
  stop(mode: 'leave' | 'kill', graceSeconds?: number): Promise<void>
  /** The node is another than it was: a card was lost, or is back. */
  describe(node: NodeDescription): void
  /** For drills: freeze (SIGSTOP), thaw (SIGCONT) or kill all pods of the node behind its back. */
  signalAll(signal: PodSignal): void
}

export function createAgent(options: AgentOptions): Agent {
  const { store, clock, liveness, random, runner, node } = options
  let described = node
  /** What the Node was last told to be. */
  let told: NodeDescription | undefined
  let turn: Promise<unknown> = Promise.resolve()
  let isSigning = false
  const log = options.log.with({ node: node.name })
  const pods = createInformer({
    store,
    clock,
    random,
    log,
    kind: 'Pod',
    selectors: { fields: `spec.nodeName=${node.name}` },
  })
  const gangs = createInformer({ store, clock, random, log, kind: 'Gang' })
  const keeper =
    options.copies === undefined
      ? undefined
      : createCopyKeeper({ node: node.name, copies: options.copies, gangs: () => gangs.list(), clock, log })
  const supervisors = new Map<string, Supervisor>()
  /** Ended and written down; events that were under way then are old news. */
  const settled = new Set<string>()
  const cancels: Cancel[] = []
  let isStopping = false

  const kit: Kit = {
    ...options,
    log,
    node: node.name,
    address: node.address,
    reportEveryMs: options.reportEveryMs ?? 1000,
    async policy() {
      const pool = await store.get('Pool', { name: node.pool })
      return { allowEnv: pool?.spec.allowEnv ?? [], hostPaths: pool?.spec.hostPaths ?? [] }
    },
    event,
  }

  function onPod(type: 'ADDED' | 'MODIFIED' | 'DELETED', pod: Pod): void {
    const uid = pod.metadata.uid ?? ''
    const known = supervisors.get(uid)
    if (type === 'DELETED') forget(uid, known)
    else if (known !== undefined) known.update(pod)
    else if (settled.has(uid) || isOver(pod)) settle(uid, pod)
    else if (!isStopping) take(uid, pod)
  }

  /** Nothing runs any more. A deletion that was asked for just before its end is ours to finish. */
  function settle(uid: string, pod: Pod): void {
    settled.add(uid)
    if (pod.metadata.deletionTimestamp === undefined) return
    const ref = { name: pod.metadata.name, namespace: pod.metadata.namespace }
    store.delete('Pod', ref, { uid, gracePeriodSeconds: 0 }).catch(failedTo('finish the deletion of a pod'))
  }

  function take(uid: string, pod: Pod): void {
    const supervisor = superviseOrRefuse(pod)
    if (supervisor === undefined) return
    supervisors.set(uid, supervisor)
    const gang = pod.metadata.labels?.[label.gang]
    const known = gang === undefined ? undefined : gangs.get({ name: gang, namespace: pod.metadata.namespace })
    if (known !== undefined) tell(known, pod, supervisor)
    void supervisor.done.then(() => {
      if (isStopping || supervisors.get(uid) !== supervisor) return
      supervisors.delete(uid)
      const now = pods.list(pod.metadata.namespace).find((each) => each.metadata.uid === uid)
      if (now !== undefined) settle(uid, now)
    })
  }

  function superviseOrRefuse(pod: Pod): Supervisor | undefined {
    try {
      return supervise(pod, kit)
    } catch (error) {
      log.error('a pod is not readable', { pod: pod.metadata.name, error: messageOf(error) })
      const status = { phase: 'Failed', reason: 'Unsupported', message: messageOf(error) }
      const ref = { name: pod.metadata.name, namespace: pod.metadata.namespace }
      store.patch('Pod', ref, { status }, { status: true, uid: pod.metadata.uid }).catch(failedTo('refuse a pod'))
      return undefined
    }
  }

  function forget(uid: string, supervisor: Supervisor | undefined): void {
    supervisors.delete(uid)
    settled.delete(uid)
    if (supervisor !== undefined) supervisor.gone()
    else runner.remove(uid).catch(failedTo('remove the files of a pod'))
  }

  function onGang(gang: Gang): void {
    if (gang.spec.checkpointRequest === undefined && gang.spec.rejoins !== true) return
    if (supervisors.size === 0) return
    for (const pod of pods.list(gang.metadata.namespace)) {
      const supervisor = supervisors.get(pod.metadata.uid ?? '')
      if (supervisor !== undefined && pod.metadata.labels?.[label.gang] === gang.metadata.name)
        tell(gang, pod, supervisor)
    }
  }

  function tell(gang: Gang, pod: Pod, supervisor: Supervisor): void {
    // One of its name may have been before it.
    if (!isOwnedBy(pod, gang) || String(gang.spec.attempt) !== pod.metadata.labels?.[label.attempt]) return
    const { checkpointRequest: request } = gang.spec
    const members = membersOf(gang)
    if (request === undefined && members === undefined) return
    supervisor.tell({ ...(request === undefined ? {} : { request }), ...(members === undefined ? {} : { members }) })
  }

  function event(pod: Pod, notice: Notice): void {
    const at = new Date(clock.now()).toISOString()
    const namespace = pod.metadata.namespace ?? 'default'
    store
      .create('Event', {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `${pod.metadata.name.slice(0, 200)}.${random.uuid().slice(0, 13)}`, namespace },
        involvedObject: involvedObjectOf(pod),
        ...notice,
        message: notice.message.slice(0, 1024),
        count: 1,
        firstTimestamp: at,
        lastTimestamp: at,
        source: { component: `agent/${node.name}` },
      })
      .catch(failedTo('record an event'))
  }

  const failedTo = (doing: string) => (error: unknown) => log.warn(`could not ${doing}`, { error: messageOf(error) })

  /** What an earlier agent left: files of pods that are gone, and processes of pods that were given up meanwhile. */
  async function sweep(): Promise<void> {
    const present = new Map(pods.list().map((pod) => [pod.metadata.uid, pod]))
    for (const uid of await runner.known()) {
      const pod = present.get(uid)
      if (pod === undefined) await runner.remove(uid)
      else if (isOver(pod) && !supervisors.has(uid)) (await runner.find(uid))?.signal('SIGKILL')
    }
  }

  /** Of what is told of the node: else what is written last may not be what was so last. */
  function inTurn<T>(write: () => Promise<T>): Promise<T> {
    const done = turn.then(write)
    turn = done.catch(() => undefined)
    return done
  }

  async function register(): Promise<void> {
    const now = described
    await registerNode(store, now, clock.now())
    told = now
  }

  /** What could not be told of the node, or was overtaken, is told with the next sign. */
  async function sign(): Promise<boolean> {
    if (isSigning) return false
    isSigning = true
    try {
      await inTurn(signAndTell)
      return true
    } catch (error) {
      failedTo('send the heartbeat')(error)
      return false
    } finally {
      isSigning = false
    }
  }

  async function signAndTell(): Promise<void> {
    const isKnown = (await heartbeat(store, node.name, clock.now())) === 'ok'
    if (!isKnown || told !== described) await register()
  }

  return {
    async start() {
      await inTurn(register)
      gangs.start()
      await gangs.synced()
      cancels.push(gangs.onChange(({ type, object }) => type !== 'DELETED' && onGang(object)))
      if (keeper !== undefined) {
        cancels.push(keeper.close, gangs.onChange(keeper.changed))
        keeper.changed()
      }
      cancels.push(pods.onChange(({ type, object }) => onPod(type, object)))
      pods.start()
      await pods.synced()
      await sweep()
      cancels.push(liveness.beat(nodeSign(node.name), heartbeatMs, sign))
    },
    async stop(mode, graceSeconds = 5) {
      isStopping = true
      for (const cancel of cancels.splice(0)) cancel()
      const all = [...supervisors.values()]
      if (mode === 'leave') for (const supervisor of all) supervisor.leave()
      else {
        for (const supervisor of all) supervisor.terminate(graceSeconds * 1000, shutdown, writeMsMax)
        await Promise.all(all.map((supervisor) => supervisor.done))
        await inTurn(() => heartbeat(store, node.name, clock.now(), false)).catch(failedTo('sign off'))
      }
      pods.stop()
      gangs.stop()
      runner.close()
    },
    describe(now) {
      described = now
      inTurn(register).catch(failedTo('tell what the node is now'))
    },
    signalAll(signal) {
      for (const supervisor of supervisors.values()) supervisor.signal(signal)
    },
  }
}

/** Who works together now, of a gang whose members come and go. */
function membersOf(gang: Gang): Member[] | undefined {
  if (gang.spec.rejoins !== true) return undefined
  return seatsNow(gang)?.members.map(({ rank, pod, address = '', ports }) => ({ rank, pod, address, ports }))
}

const heartbeatMs = 10_000
/** Of the end of a pod while we shut down. */
const writeMsMax = 5_000
const shutdown = { reason: 'NodeShutdown', message: 'stopped because the node was shut down', byAgent: true }
