/** What `kubectl get jobs.batch,pods,nodes -A -o json` lists, as far as a history of jobs is made of it. */
export const kubernetesList = {
  apiVersion: 'v1',
  kind: 'List',
  metadata: { resourceVersion: '' },
  items: [
    // A Job of two pods, whose first try failed on another node.
    job('train', {
      at: 0,
      start: 60,
      end: 4000,
      parallelism: 2,
      gpus: 8,
      labels: { 'kueue.x-k8s.io/queue-name': 'ml' },
    }),
    pod('train-a', { owner: ['Job', 'train'], at: 60, scheduled: 100, end: 200, gpus: 8, node: 'n1' }),
    pod('train-b', { owner: ['Job', 'train'], at: 60, scheduled: 101, end: 4000, gpus: 8, node: 'n1' }),
    pod('train-c', { owner: ['Job', 'train'], at: 210, scheduled: 211, end: 4000, gpus: 8, node: 'n2' }),
    // A JobSet's two Jobs, whose pods are gone; it failed.
    job('set-lead-0', { owner: ['JobSet', 'set'], at: 500, start: 520, end: 900, parallelism: 1, gpus: 1 }),
    job('set-work-0', { owner: ['JobSet', 'set'], at: 500, start: 521, failed: 901, parallelism: 3, gpus: 4 }),
    // A PyTorchJob, which makes pods.
    pod('torch-master-0', { owner: ['PyTorchJob', 'torch'], at: 700, scheduled: 710, end: 1000, gpus: 2, node: 'n1' }),
    pod('torch-worker-0', { owner: ['PyTorchJob', 'torch'], at: 700, scheduled: 730, end: 990, gpus: 2, node: 'n3' }),
    // A CronJob's are apart.
    job('nightly-1', { owner: ['CronJob', 'nightly'], at: 800, start: 800, end: 860, parallelism: 1, gpus: 1 }),
    job('nightly-2', { owner: ['CronJob', 'nightly'], at: 900, start: 900, end: 960, parallelism: 1, gpus: 1 }),
    pod('alone', { at: 1000, scheduled: 1005, end: 1065, gpus: 1, node: 'n3' }),
    // Nothing of a history: it runs, waits, has no accelerators, or was evicted of a service that runs.
    job('running', { at: 1, start: 2, parallelism: 1, gpus: 8 }),
    job('waiting', { at: 1, parallelism: 1, gpus: 8 }),
    job('cpu', { at: 1, start: 2, end: 9, parallelism: 1, gpus: 0 }),
    pod('serve-a', { owner: ['ReplicaSet', 'serve'], at: 1, scheduled: 2, end: 50, gpus: 1, node: 'n1' }),
    pod('serve-b', { owner: ['ReplicaSet', 'serve'], at: 51, scheduled: 52, gpus: 1, node: 'n1' }),
    node('n1', 'NVIDIA-H100-80GB-HBM3'),
    node('n2', 'NVIDIA-H100-80GB-HBM3'),
    node('n3', 'NVIDIA-A100-SXM4-40GB'),
  ],
}

type Owner = readonly [kind: string, name: string]

function metadata(name: string, at: number, owner: Owner | undefined, labels: Record<string, string> = {}) {
  const [kind, by] = owner ?? []
  const ownerReferences = [
    { apiVersion: 'v1', kind, name: by, uid: `uid-${by}`, controller: true, blockOwnerDeletion: true },
  ]
  return {
    creationTimestamp: stamp(at),
    name,
    namespace: 'team',
    uid: `uid-${name}`,
    resourceVersion: '1',
    labels,
    ...(owner === undefined ? {} : { ownerReferences }),
  }
}

function stamp(second: number): string {
  return new Date(Date.UTC(2026, 2, 1) + second * 1000).toISOString().replace('.000Z', 'Z')
}

function podSpec(gpus: number) {
  const limits = { cpu: '8', memory: '64Gi', ...(gpus === 0 ? {} : { 'nvidia.com/gpu': String(gpus) }) }
  return {
    containers: [
      { name: 'main', image: 'trainer', resources: { limits, requests: limits } },
      { name: 'logs', resources: {} },
    ],
  }
}

function job(
  name: string,
  of: {
    at: number
    start?: number
    end?: number
    failed?: number
    parallelism: number
    gpus: number
    owner?: Owner
    labels?: Record<string, string>
  },
) {
  const { parallelism, failed } = of
  const condition = (type: string, at: number) => ({
    type,
    status: 'True',
    lastProbeTime: stamp(at),
    lastTransitionTime: stamp(at),
  })
  const conditions = [
    ...(of.end === undefined ? [] : [condition('Complete', of.end)]),
    ...(failed === undefined ? [] : [condition('Failed', failed)]),
  ]
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: metadata(name, of.at, of.owner, of.labels),
    spec: {
      parallelism,
      completions: parallelism,
      activeDeadlineSeconds: 86_400,
      template: { metadata: {}, spec: podSpec(of.gpus) },
    },
    status: {
      ...(of.start === undefined ? {} : { startTime: stamp(of.start) }),
      ...(of.end === undefined ? {} : { completionTime: stamp(of.end) }),
      ...(conditions.length === 0 ? {} : { conditions }),
    },
  }
}

function pod(
  name: string,
  of: { at: number; scheduled: number; end?: number; gpus: number; node: string; owner?: Owner },
) {
  const state =
    of.end === undefined
      ? { running: { startedAt: stamp(of.scheduled + 5) } }
      : {
          terminated: {
            exitCode: 0,
            reason: 'Completed',
            startedAt: stamp(of.scheduled + 5),
            finishedAt: stamp(of.end),
          },
        }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata(name, of.at, of.owner),
    spec: { ...podSpec(of.gpus), nodeName: of.node, priority: 100 },
    status: {
      phase: of.end === undefined ? 'Running' : 'Succeeded',
      conditions: [
        { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: stamp(of.scheduled) },
      ],
      containerStatuses: [{ name: 'main', restartCount: 0, state }],
    },
  }
}

function node(name: string, product: string) {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'nvidia.com/gpu.product': product } },
    spec: {},
    status: {},
  }
}
