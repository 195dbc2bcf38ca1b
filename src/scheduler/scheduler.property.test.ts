import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasEnded } from './fleet/read-pod.ts'
import { createScheduler } from './scheduler.ts'
import { Story } from './story.fixture.ts'

const models = ['cpu', 'H100']
const step = fc.oneof(
  fc.record({
    does: fc.constant('gang' as const),
    members: fc.integer({ min: 1, max: 4 }),
    model: fc.constantFrom(...models),
    count: fc.constantFrom(0.3, 0.5, 1, 2),
    priority: fc.integer({ min: 0, max: 2 }),
  }),
  fc.record({
    does: fc.constantFrom(
      'run' as const,
      'end' as const,
      'restart' as const,
      'suspend' as const,
      'resume' as const,
      'forget' as const,
      'cordon' as const,
      'stale' as const,
    ),
    which: fc.nat(30),
  }),
  fc.record({ does: fc.constant('decide' as const) }),
)

test('no device is promised twice, and a gang has all its members or none', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const told = new Story(createScheduler())
      told.queue('default')
      told.node('a', 'cpu:3')
      told.node('b', 'H100:3')
      told.node('c', 'H100:2')
      for (const one of steps) {
        act(told, one)
        audit(told)
      }
      told.decide()
      audit(told)
    }),
    { numRuns: 300 },
  )
})

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

function act(told: Story, one: Step): void {
  if (one.does === 'decide') told.decide()
  else if (one.does === 'gang')
    told.gang(`g${told.gangs.size}`, `${one.members}x${one.model}:${one.count}`, { priority: one.priority })
  else {
    const gang = [...told.gangs.values()][one.which % Math.max(1, told.gangs.size)]
    const pods = [...told.pods.values()].filter((pod) => !hasEnded(pod))
    const pod = pods[one.which % Math.max(1, pods.length)]
    if (one.does === 'end' && pod !== undefined) told.end(pod.metadata.name)
    if (one.does === 'cordon') told.node('c', 'H100:2', { unschedulable: one.which % 2 === 0 })
    if (gang === undefined) return
    const { name } = gang.metadata
    const { attempt } = gang.spec
    if (one.does === 'run' && gang.status?.seats?.attempt === attempt && !gang.spec.suspend) told.run(name)
    if (one.does === 'restart') told.change(name, { attempt: attempt + 1 })
    if (one.does === 'suspend') told.change(name, { suspend: true })
    if (one.does === 'resume' && gang.spec.suspend) told.change(name, { suspend: false, attempt: attempt + 1 })
    if (one.does === 'stale') {
      const verdicts = told.scheduler.decide(0)
      told.change(name, { expectedSeconds: one.which })
      for (const verdict of verdicts) told.commit(verdict)
    }
    if (one.does === 'forget') {
      told.gangs.delete(`default/${name}`)
      told.apply({ kind: 'Gang', deleted: `default/${name}` })
    }
  }
}

/** Counts afresh, from the objects alone. */
function audit(told: Story): void {
  const used = new Map<string, Map<string, number>>()
  const hold = (pod: string, device: string, milli: number) => {
    const holders = used.get(device) ?? new Map<string, number>()
    used.set(device, holders)
    holders.set(pod, Math.max(milli, holders.get(pod) ?? 0))
  }
  const seatMilli = new Map<string, number>()
  for (const gang of told.gangs.values()) {
    const seats = gang.status?.seats
    if (seats === undefined) continue
    expect(seats.members.length).toBe(gang.spec.groups[0]?.min)
    expect(seats.members.map((member) => member.rank)).toEqual(seats.members.map((_, rank) => rank))
    for (const member of seats.members) {
      for (const device of member.devices) {
        hold(member.pod, `${member.node}/${device.id}`, device.milli)
        seatMilli.set(`${member.pod}/${device.id}`, device.milli)
      }
    }
  }
  for (const pod of told.pods.values()) {
    if (hasEnded(pod)) continue
    for (const id of (pod.metadata.annotations?.['millwright.dev/devices'] ?? '').split(',')) {
      // A pod whose seats are gone is counted as what it was given; here shares are only known while seats are.
      hold(pod.metadata.name, `${pod.spec.nodeName}/${id}`, seatMilli.get(`${pod.metadata.name}/${id}`) ?? 1)
    }
  }
  for (const [device, holders] of used) {
    const sum = [...holders.values()].reduce((total, milli) => total + milli, 0)
    if (sum > 1000) throw new Error(`${device} is promised ${sum}/1000 to ${[...holders.keys()].join(', ')}`)
  }
}
