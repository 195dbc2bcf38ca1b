import type { Gang } from '../model/kinds/gang.ts'
import { type Pool, pool } from '../model/kinds/pool.ts'

type Spec = Gang['spec']
type Group = Spec['groups'][number]

/** A group that asks for one GPU per member and nothing else. */
export function groupOf(members: number, more: Partial<Group> = {}): Group {
  return {
    name: 'worker',
    min: members,
    max: members,
    accelerators: [{ model: 'gpu', count: 1 }],
    cpuMilli: 0,
    memoryBytes: 0,
    ports: 1,
    nodeSelector: {},
    tolerations: [],
    ...more,
  }
}

export function gangNamed(name: string, groups: readonly Group[], more: Partial<Spec> = {}): Gang {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Gang',
    metadata: { name, namespace: 'default' },
    spec: {
      attempt: 1,
      queue: 'default',
      priority: 0,
      preemptible: true,
      suspend: false,
      groups: [...groups],
      ...more,
    },
  }
}

export function poolNamed(name: string, spares: number | 'auto'): Pool {
  const spec = { accelerator: 'gpu', spares }
  return pool.parse({ apiVersion: 'millwright.dev/v1alpha1', kind: 'Pool', metadata: { name }, spec })
}
