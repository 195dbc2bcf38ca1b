import type { Queue } from '../../model/kinds/queue.ts'

export type Spec = Partial<Queue['spec']>

export function queueNamed(name: string, spec: Spec = {}): Queue {
  return {
    apiVersion: 'millwright.dev/v1alpha1',
    kind: 'Queue',
    metadata: { name },
    spec: { namespaces: ['default'], weight: 1, stopPolicy: 'None', ...spec },
  }
}
