import { expect, test } from 'vitest'
import type { Node } from '../../model/kinds/kubernetes.ts'
import { annotation } from '../../model/names.ts'
import { Fleet } from '../fleet/fleet.ts'
import { Ends } from './ends.ts'

/** Eight accelerators, each held by a pod of its own that ends at a minute of its own. */
function full(minutes: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8]) {
  const fleet = new Fleet()
  const devices = Array.from({ length: 8 }, (_, at) => ({ id: String(at), model: 'H100', healthy: true }))
  const node: Node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n', annotations: { [annotation.nodeDevices]: JSON.stringify(devices) } },
    status: { allocatable: { cpu: '8', memory: '8Gi' } },
  }
  fleet.setNode(node)
  for (const { id } of devices) {
    const claim = { node: 'n', model: 'H100', devices: [{ id, milli: 1000 }], cpuMilli: 0, memoryBytes: 0, ports: [] }
    fleet.setClaim(id, 'seat', claim)
  }
  const endings = minutes.map((atMs, at) => ({ gang: String(at), atMs, pods: () => [String(at)] }))
  let asked = 0
  /** So many are free. */
  const place = (count: number) => () => {
    asked++
    return fleet.acceleratorsFree() >= count ? `${fleet.acceleratorsFree()} free` : undefined
  }
  const inside = <T>(work: (ends: Ends<(typeof endings)[number]>) => T): T =>
    fleet.attempt(() => work(new Ends(fleet, endings)))
  return { fleet, place, inside, asked: () => asked }
}

test('no more take place than are needed, the first to end first', () => {
  const { fleet, place, inside } = full([8, 1, 7, 2, 6, 3, 5, 4])
  for (const count of [1, 2, 3, 4, 5, 6, 7, 8]) {
    inside((ends) => {
      expect(ends.until(place(count))).toBe(`${count} free`)
      expect(ends.atMs).toBe(count)
      expect(ends.past.map(({ atMs }) => atMs)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].slice(0, count))
      expect(fleet.acceleratorsFree()).toBe(count)
    })
    expect(fleet.acceleratorsFree()).toBe(0)
  }
})

test('none take place if it would not do after all of them either', () => {
  const { fleet, place, inside, asked } = full()
  inside((ends) => {
    expect(ends.until(place(9))).toBeUndefined()
    expect([ends.atMs, ends.past, fleet.acceleratorsFree()]).toEqual([undefined, [], 0])
    expect(asked(), 'by doubling').toBeLessThanOrEqual(5)
  })
})

test('where nothing has to end, nothing does, unless one is asked for', () => {
  const { place, inside } = full()
  inside((ends) => {
    expect(ends.until(place(0))).toBe('0 free')
    expect(ends.atMs).toBeUndefined()
    expect(ends.until(place(0), 1)).toBe('1 free')
    expect(ends.atMs).toBe(1)
  })
})

test('what has ended stays so: the next is looked for after it, and if there is none that is where it stays', () => {
  const { fleet, place, inside } = full()
  inside((ends) => {
    ends.until(place(3))
    expect(ends.until(place(1))).toBe('3 free')
    expect(ends.until(place(4))).toBe('4 free')
    expect(ends.until(place(9))).toBeUndefined()
    expect([ends.atMs, fleet.acceleratorsFree()]).toEqual([4, 4])
    ends.rewind()
    expect([ends.atMs, fleet.acceleratorsFree()]).toEqual([undefined, 0])
  })
})

test('one that comes later ends in its turn, not before what has ended already', () => {
  const { place, inside } = full([10, 20, 30, 40, 50, 60, 70, 80])
  const none = { pods: () => [] }
  inside((ends) => {
    ends.until(place(3))
    for (const atMs of [5, 45, 40, 90]) ends.add({ gang: 'late', atMs, ...none })
    ends.until(place(8))
    expect(ends.past.map(({ atMs }) => atMs)).toEqual([10, 20, 30, 5, 40, 40, 45, 50, 60, 70, 80])
  })
})
