import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Container, Probe } from '../model/kinds/kubernetes.ts'
import type { PodRunner } from './contract.ts'
import { probedPort } from './support.ts'

export interface ProbeOptions {
  clock: Clock
  runner: PodRunner
  uid: string
  container: Container
  ports: readonly number[]
  host: string
  env: () => Promise<Record<string, string>>
  /** Ready once its port accepts, where no probe says more. */
  isServer: boolean
  ready(isReady: boolean, why?: string): void
  /** The liveness probe failed for good. */
  dead(why: string): void
}

/** Probes a running pod until stopped. A period or timeout of 0 is one left out, as in Kubernetes. Until it is ready first, readiness is asked for often: somebody waits for it. */
export function startProbes(options: ProbeOptions): () => void {
  const { container, ports, isServer } = options
  const stopped = new AbortController()
  const readiness =
    container.readinessProbe ?? (isServer && ports[0] !== undefined ? { tcpSocket: { port: ports[0] } } : undefined)
  if (readiness === undefined) options.ready(true)
  else void watchReadiness(options, readiness, container.readinessProbe !== undefined, stopped.signal)
  if (container.livenessProbe !== undefined) void watchLiveness(options, container.livenessProbe, stopped.signal)
  return () => stopped.abort()
}

async function watchReadiness(
  options: ProbeOptions,
  probe: Probe,
  goesOn: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = options
  const periodMs = 1000 * (probe.periodSeconds || 10)
  let isReady = false
  let right = 0
  let wrong = 0
  let eagerMs = 50
  await clock.sleep(1000 * (probe.initialDelaySeconds ?? 0), signal)
  while (!signal.aborted) {
    const problem = await look(options, probe)
    if (signal.aborted) return
    right = problem === undefined ? right + 1 : 0
    wrong = problem === undefined ? 0 : wrong + 1
    if (!isReady && right >= (probe.successThreshold ?? 1)) {
      isReady = true
      options.ready(true)
      if (!goesOn) return
    } else if (isReady && wrong >= (probe.failureThreshold ?? 3)) {
      isReady = false
      options.ready(false, problem)
    } else if (!isReady && problem !== undefined) options.ready(false, problem)
    eagerMs = Math.min(eagerMs * 1.2, 1000)
    await clock.sleep(isReady ? periodMs : Math.min(eagerMs, periodMs), signal)
  }
}

async function watchLiveness(options: ProbeOptions, probe: Probe, signal: AbortSignal): Promise<void> {
  let wrong = 0
  await options.clock.sleep(1000 * (probe.initialDelaySeconds ?? 0), signal)
  while (!signal.aborted) {
    const problem = await look(options, probe)
    if (signal.aborted) return
    wrong = problem === undefined ? 0 : wrong + 1
    if (problem !== undefined && wrong >= (probe.failureThreshold ?? 3)) return options.dead(problem)
    await options.clock.sleep(1000 * (probe.periodSeconds || 10), signal)
  }
}

/** A probe that cannot even be made fails, as one that finds something wrong: it is the pod's, not the agent's. */
async function look(options: ProbeOptions, probe: Probe): Promise<string | undefined> {
  const { runner, uid, container, ports, host } = options
  const wanted = probe.httpGet?.port ?? probe.tcpSocket?.port
  try {
    return await runner.probe({
      uid,
      probe,
      port: wanted === undefined ? undefined : probedPort(wanted, container, ports),
      host: probe.httpGet?.host ?? host,
      timeoutMs: Math.ceil(1000 * (probe.timeoutSeconds || 1)),
      env: probe.exec === undefined ? {} : await options.env(),
    })
  } catch (error) {
    return `it cannot be probed: ${messageOf(error)}`
  }
}
