/** Labels and annotations that rooms agree on. Each line says who writes it. */
export const label = {
  /** On pods and gangs: the TrainingJob or InferenceService. By control. */
  job: 'millwright.dev/job',
  service: 'millwright.dev/service',
  /** On service pods: the uid of the service, which another of its name does not have. By control/serving. */
  serviceUid: 'millwright.dev/service-uid',
  /** On pods: the gang and its attempt. By control. */
  gang: 'millwright.dev/gang',
  attempt: 'millwright.dev/attempt',
  group: 'millwright.dev/group',
  /** On service pods and gangs: the revision (hash of the template) they are of. By control/serving. */
  revision: 'millwright.dev/revision',
  /** On nodes. By the agent. */
  pool: 'millwright.dev/pool',
  accelerator: 'millwright.dev/accelerator',
  /** On nodes: how their Pool is paid for. By control/nodes. */
  capacityType: 'millwright.dev/capacity-type',
  hostname: 'kubernetes.io/hostname',
  zone: 'topology.kubernetes.io/zone',
  block: 'millwright.dev/block',
  rack: 'millwright.dev/rack',
  /** On Model versions: the model that they are versions of. By control/publishing. */
  model: 'millwright.dev/model',
} as const

export const annotation = {
  /** On pods, carried by the Binding (control/scheduling). */
  rank: 'millwright.dev/rank',
  localRank: 'millwright.dev/local-rank',
  worldSize: 'millwright.dev/world-size',
  devices: 'millwright.dev/devices', // comma-separated device ids
  visibleDevices: 'millwright.dev/visible-devices', // what CUDA_VISIBLE_DEVICES becomes; empty for CPU slots
  ports: 'millwright.dev/ports', // comma-separated
  port: 'millwright.dev/port', // the first of them: what PORT becomes
  masterAddr: 'millwright.dev/master-addr',
  masterPort: 'millwright.dev/master-port',
  epoch: 'millwright.dev/epoch',
  peerNode: 'millwright.dev/peer-node', // the other node that keeps a copy of what this one writes, where one is to
  /** On pods at creation (control/training, control/serving): what agent/pod fetches and ships, as JSON of `PodWork`. */
  work: 'millwright.dev/work',
  /** On pod templates (model/pods): "H100:8,A100:8", alternatives that a container's resources cannot express. */
  accelerators: 'millwright.dev/accelerators',
  /** On nodes (agent): JSON list of `Device`. */
  nodeDevices: 'millwright.dev/node-devices',
  /** On nodes (agent): "20000-20999", the range that seats take ports from. */
  portRange: 'millwright.dev/port-range',
  /** On nodes (whoever reads the kernel's log there): JSON list of `ToldXid` (model/told-xids). */
  xids: 'millwright.dev/xids',
  /** On nodes that recovery closed (control/recovery): why. */
  cordonedBecause: 'millwright.dev/cordoned-because',
  /** On nodes that recovery closed since they are slow (control/recovery): JSON of whose rank was slow there. */
  slow: 'millwright.dev/slow',
  /** On nodes that recovery closed for what their conditions say (control/recovery): their types, comma-separated. */
  unhealthy: 'millwright.dev/unhealthy',
  /** On gangs (control/recovery): ranks that are slow wherever they sit, comma-separated. No node is to blame for them. */
  unevenRanks: 'millwright.dev/uneven-ranks',
  /** On whatever was applied from a file (compile/plan): JSON of what the file said, to tell what it no longer says. */
  lastApplied: 'millwright.dev/last-applied',
  /** On jobs that a shutdown suspended and the next start resumes (runtime). */
  suspendedBy: 'millwright.dev/suspended-by',
} as const

/**
 * Kubernetes' taint of a node that does not come back as it is, which only a person can give: what ran there is given up.
 */
export const outOfService = 'node.kubernetes.io/out-of-service'

/**
 * Taint (NoSchedule) of a node that work is to leave, with what for: `drain` when a person empties it, else what somebody who
 * hears of it says: `reclaim`, `maintenance`.
 */
export const leavingTaint = 'millwright.dev/leaving'

export const schedulerName = 'millwright'
/** Extended resource of an accelerator slot on every local node (DESIGN §2, `cpu`). */
export const cpuSlot = 'millwright.dev/cpu'
export const gpuResource = 'nvidia.com/gpu'

/** The pod that sits on a gang's seat: made by the gang's owner, named in the seats by the scheduler. */
export function podNameOf(gang: string, group: string, index: number, attempt: number): string {
  return `${gang}-${group}-${index}-${attempt}`
}
