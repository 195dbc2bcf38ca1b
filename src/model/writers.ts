import type { KindMap } from './registry.ts'

/**
 * One field, one writer (DESIGN §4). Two that wrote the same field would undo each other's decisions; a writer that
 * needs a field of another's asks by a field of its own. On Kubernetes each writer patches only its fields, as field
 * manager of that name.
 */
export type Writer =
  | 'control/training'
  | 'control/serving'
  | 'control/scheduling'
  | 'control/recovery'
  | 'control/publishing'
  | 'control/datasets'
  | 'control/drills'
  | 'control/garbage'
  | 'control/nodes'
  | 'agent'
  | 'gateway'
  | 'observe/ledger'
  | 'kubelet'
  /** Conditions are a list by type; each type has its writer in `conditionWriters`. */
  | 'by condition type'
  /** A Report is written by whoever it is of: the agent of the pod, or the gateway of the service. */
  | 'its reporter'

type Status<K extends keyof KindMap> = KindMap[K] extends { status?: infer S } ? NonNullable<S> : never
/** The type asks for an entry for each field that we name; a loose object's other fields are its agent's. */
type Writers<K extends keyof KindMap> = { readonly [F in NamedField<Status<K>>]: Writer }
type NamedField<S> = keyof { [F in keyof S as string extends F ? never : F]: S[F] }

export type WrittenKind = Exclude<keyof KindMap, 'Secret' | 'Event' | 'Lease'>

export const statusWriters: { readonly [K in WrittenKind]: Writers<K> } = {
  TrainingJob: {
    observedGeneration: 'control/training',
    phase: 'control/training',
    conditions: 'control/training',
    attempt: 'control/training',
    restarts: 'control/training',
    restartsSinceProgress: 'control/training',
    replacedWorkers: 'control/training',
    workers: 'control/training',
    step: 'control/training',
    steps: 'control/training',
    loss: 'control/training',
    samplesPerSecond: 'control/training',
    tokensPerSecond: 'control/training',
    stepSeconds: 'control/training',
    checkpoint: 'control/training',
    lostSeconds: 'control/training',
    expectedEnd: 'control/training',
    startTime: 'control/training',
    completionTime: 'control/training',
    lastFailure: 'control/training',
    model: 'control/publishing',
    output: 'control/training',
    message: 'control/training',
  },
  InferenceService: {
    observedGeneration: 'control/serving',
    phase: 'control/serving',
    conditions: 'control/serving',
    url: 'control/serving',
    model: 'control/serving',
    replicas: 'control/serving',
    readyReplicas: 'control/serving',
    wantedReplicas: 'control/serving',
    revision: 'control/serving',
    lastGood: 'control/serving',
    failedRevision: 'control/serving',
    message: 'control/serving',
  },
  Gang: {
    observedGeneration: 'control/scheduling',
    conditions: 'by condition type',
    seats: 'control/scheduling',
    hold: 'control/scheduling',
    eviction: 'control/scheduling',
    resize: 'control/scheduling',
    epoch: 'control/scheduling',
    checkpoint: 'control/training',
    checkpoints: 'control/training',
    checkpointRequestSeconds: 'control/training',
    stepSeconds: 'control/training',
    restartSeconds: 'control/training',
    expectedEnd: 'control/training',
    expectedEndRange: 'control/training',
  },
  Report: {
    at: 'its reporter',
    rank: 'agent',
    pid: 'agent',
    startedAtMs: 'agent',
    firstStepAtMs: 'agent',
    restoredStep: 'agent',
    restoredFrom: 'agent',
    step: 'agent',
    steps: 'agent',
    stepAtMs: 'agent',
    loss: 'agent',
    lossSpike: 'agent',
    stepSeconds: 'agent',
    busySeconds: 'agent',
    regroupSeconds: 'agent',
    pace: 'agent',
    samplesPerSecond: 'agent',
    tokensPerSecond: 'agent',
    checkpoints: 'agent',
    damaged: 'agent',
    stopped: 'agent',
    ended: 'agent',
    output: 'agent',
    logTail: 'agent',
    hungSinceMs: 'agent',
    inFlight: 'gateway',
    held: 'gateway',
    heldSinceMs: 'gateway',
    lastRequestAtMs: 'gateway',
    requestsPerSecond: 'gateway',
    concurrency: 'gateway',
    ttftSeconds: 'gateway',
    promptTokens: 'gateway',
    completionTokens: 'gateway',
    requests: 'gateway',
    perReplica: 'gateway',
  },
  Model: { conditions: 'control/publishing' },
  Dataset: {
    conditions: 'control/datasets',
    digest: 'control/datasets',
    previousDigest: 'control/datasets',
    bytes: 'control/datasets',
    files: 'control/datasets',
    observedGeneration: 'control/datasets',
  },
  Drill: {
    phase: 'control/drills',
    message: 'control/drills',
    target: 'control/drills',
    accounts: 'control/drills',
    struckAt: 'agent',
    mendedAt: 'agent',
    refused: 'agent',
    detectedAt: 'control/drills',
    recoveredAt: 'control/drills',
    stepSeconds: 'control/drills',
    outcome: 'control/drills',
  },
  Pool: {
    conditions: 'control/nodes',
    nodes: 'control/nodes',
    readyNodes: 'control/nodes',
    slots: 'control/nodes',
    spares: 'control/nodes',
    reliability: 'control/nodes',
  },
  Queue: {
    conditions: 'control/scheduling',
    running: 'control/scheduling',
    waiting: 'control/scheduling',
    usage: 'control/scheduling',
  },
  LedgerPage: {
    slots: 'observe/ledger',
    throughMs: 'observe/ledger',
    capacitySlotMs: 'observe/ledger',
    usage: 'observe/ledger',
    revision: 'observe/ledger',
    pricePerSlotHour: 'observe/ledger',
    entries: 'observe/ledger',
    provisional: 'observe/ledger',
  },
  // Kubernetes' own: the agent stands where the kubelet does.
  Pod: {
    phase: 'kubelet',
    reason: 'kubelet',
    message: 'kubelet',
    conditions: 'by condition type',
    hostIP: 'kubelet',
    podIP: 'kubelet',
    startTime: 'kubelet',
    containerStatuses: 'kubelet',
  },
  Node: {
    capacity: 'kubelet',
    allocatable: 'kubelet',
    conditions: 'by condition type',
    addresses: 'kubelet',
    nodeInfo: 'kubelet',
  },
  /** The phase is the store's own, as it is the API server's. */
  Namespace: { phase: 'kubelet', conditions: 'control/garbage' },
}

/** Condition types of kinds whose conditions have several writers; a type that isn't here is its first writer's. */
export const conditionWriters: { readonly [kind: string]: { readonly [type: string]: Writer } } = {
  Gang: { Scheduled: 'control/scheduling' },
  Pod: { PodScheduled: 'control/scheduling', Ready: 'kubelet', ContainersReady: 'kubelet', Initialized: 'kubelet' },
  Node: { Ready: 'kubelet', Healthy: 'control/nodes' },
}
