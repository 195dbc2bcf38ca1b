import { millwrightVersion } from '../model/metadata.ts'
import type { Store } from '../store/contract.ts'

/** What every factory on one machine starts with; what is there already stays as its owner left it. */
export async function bootstrap(store: Store): Promise<void> {
  for (const name of ['default', 'millwright-system']) {
    await store.create(
      'Namespace',
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name }, status: { phase: 'Active' } },
      { withStatus: true },
    )
  }
  await store.create('Pool', {
    apiVersion: millwrightVersion,
    kind: 'Pool',
    metadata: { name: 'local' },
    spec: {
      accelerator: 'cpu',
      minNodes: 0,
      maxNodes: 1,
      capacityType: 'reserved',
      provisioningSeconds: 0,
      allowEnv: [],
      hostPaths: [],
    },
  })
  await store.create('Queue', {
    apiVersion: millwrightVersion,
    kind: 'Queue',
    metadata: { name: 'default' },
    spec: { namespaces: ['*'], weight: 1, stopPolicy: 'None' },
  })
}
