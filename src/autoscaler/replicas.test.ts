import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Demand, type ReplicaSignals, wantedReplicas } from './replicas.ts'

const limits = { min: 0, max: 5, target: 4, scaleDownMs: 60_000 }
const at = (nowMs: number, signals: Partial<ReplicaSignals> = {}): ReplicaSignals => ({
  nowMs,
  current: 0,
  inFlight: 0,
  held: 0,
  ...signals,
})

test('one held request brings one replica, more than a replica should serve brings more, never above the maximum', () => {
  expect(wantedReplicas(at(0, { held: 1 }), limits, [])).toMatchObject({ replicas: 1, reason: 'Held' })
  expect(wantedReplicas(at(0, { held: 3, inFlight: 6 }), limits, [])).toMatchObject({ replicas: 3 })
  expect(wantedReplicas(at(0, { held: 100 }), limits, [])).toMatchObject({ replicas: 5, reason: 'Maximum' })
})

test('down only after the whole time of low demand, one step to the highest demand still remembered', () => {
  let history: Demand[] = []
  const decide = (nowMs: number, inFlight: number) => {
    const decision = wantedReplicas(at(nowMs, { inFlight }), limits, history)
    history = decision.history
    return decision
  }
  expect(decide(0, 20).replicas).toBe(5)
  expect(decide(10_000, 8)).toMatchObject({ replicas: 5, againAtMs: 60_000, reason: 'Settling' })
  expect(decide(59_999, 0).replicas).toBe(5)
  expect(decide(60_000, 0)).toMatchObject({ replicas: 2, againAtMs: 70_000 })
  expect(decide(70_000, 0)).toMatchObject({ replicas: 0 })
})

test('requests too short to be seen under way keep their replica: the last one counts as demand', () => {
  const history: Demand[] = []
  const signals = at(100_000, { current: 1, lastRequestAtMs: 90_000 })
  expect(wantedReplicas(signals, limits, history)).toMatchObject({ replicas: 1, againAtMs: 150_000 })
  expect(wantedReplicas({ ...signals, nowMs: 150_000 }, limits, history).replicas).toBe(0)
  expect(wantedReplicas(at(0, { concurrency: 9.2 }), limits, []).replicas).toBe(3)
})

test('a control plane that has just started takes nothing away before it has watched', () => {
  expect(wantedReplicas(at(0, { current: 4 }), limits, undefined)).toMatchObject({ replicas: 4, againAtMs: 60_000 })
})

test('a service that may not go to zero stays at its minimum', () => {
  expect(wantedReplicas(at(0), { ...limits, min: 2 }, [])).toMatchObject({ replicas: 2, reason: 'Minimum' })
})

test('for any demand: within the limits, never below what is under way needs, and the same as the plain maximum', () => {
  const demands = fc.array(fc.record({ waitMs: fc.nat(40_000), inFlight: fc.nat(30), held: fc.nat(5) }), {
    maxLength: 40,
  })
  fc.assert(
    fc.property(demands, (all) => {
      let history: Demand[] = []
      let nowMs = 0
      const asked: Demand[] = []
      for (const { waitMs, inFlight, held } of all) {
        nowMs += waitMs
        const decision = wantedReplicas(at(nowMs, { inFlight, held }), limits, history)
        history = decision.history
        const needs = Math.ceil((inFlight + held) / limits.target)
        asked.push({ atMs: nowMs, replicas: needs })
        const window = asked.filter((one) => one.atMs === nowMs || one.atMs > nowMs - limits.scaleDownMs)
        expect(decision.replicas).toBe(Math.min(limits.max, Math.max(...window.map((one) => one.replicas))))
      }
    }),
    { numRuns: 200 },
  )
})
