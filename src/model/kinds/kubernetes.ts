import { z } from 'zod'
import { condition, looseMeta } from '../metadata.ts'

/** Kubernetes' own kinds: read loosely (a field that we don't know is kept), written by patch. */

const quantities = z.record(z.string(), z.union([z.string(), z.number()]))
const port = z.union([z.number().int(), z.string()])

export const probe = z.looseObject({
  httpGet: z
    .looseObject({ path: z.string().default('/'), port, host: z.string().optional(), scheme: z.string().optional() })
    .optional(),
  tcpSocket: z.looseObject({ port }).optional(),
  exec: z.looseObject({ command: z.array(z.string()).min(1) }).optional(),
  initialDelaySeconds: z.number().min(0).optional(),
  periodSeconds: z.number().min(0).optional(),
  timeoutSeconds: z.number().min(0).max(86_400).optional(),
  failureThreshold: z.number().optional(),
  successThreshold: z.number().optional(),
})

export const envVar = z.looseObject({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z
    .looseObject({
      fieldRef: z.looseObject({ fieldPath: z.string() }).optional(),
      secretKeyRef: z.looseObject({ name: z.string(), key: z.string(), optional: z.boolean().optional() }).optional(),
    })
    .optional(),
})

export const container = z.looseObject({
  name: z.string(),
  image: z.string().optional(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  workingDir: z.string().optional(),
  env: z.array(envVar).optional(),
  envFrom: z.array(z.looseObject({})).optional(),
  ports: z.array(z.looseObject({ containerPort: z.number().int(), name: z.string().optional() })).optional(),
  resources: z.looseObject({ limits: quantities.optional(), requests: quantities.optional() }).optional(),
  readinessProbe: probe.optional(),
  livenessProbe: probe.optional(),
  volumeMounts: z
    .array(z.looseObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }))
    .optional(),
})

const podSpec = z.looseObject({
  containers: z.array(container).min(1),
  initContainers: z.array(container).optional(),
  nodeName: z.string().optional(),
  nodeSelector: z.record(z.string(), z.string()).optional(),
  tolerations: z.array(z.looseObject({})).optional(),
  affinity: z.looseObject({}).optional(),
  topologySpreadConstraints: z.array(z.looseObject({})).optional(),
  restartPolicy: z.string().optional(),
  schedulerName: z.string().optional(),
  terminationGracePeriodSeconds: z.number().optional(),
  volumes: z
    .array(
      z.looseObject({
        name: z.string(),
        emptyDir: z.looseObject({}).optional(),
        hostPath: z.looseObject({ path: z.string() }).optional(),
      }),
    )
    .optional(),
})

export const podTemplate = z.looseObject({
  metadata: z
    .looseObject({
      labels: z.record(z.string(), z.string()).optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  spec: podSpec,
})

const terminated = z.looseObject({
  exitCode: z.number().int(),
  signal: z.number().int().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  startedAt: z.string().optional(),
  finishedAt: z.string().optional(),
})

export const pod = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Pod'),
  metadata: looseMeta,
  spec: podSpec,
  status: z
    .looseObject({
      phase: z.enum(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']).optional(),
      reason: z.string().optional(),
      message: z.string().optional(),
      conditions: z.array(condition).optional(),
      hostIP: z.string().optional(),
      podIP: z.string().optional(),
      startTime: z.string().optional(),
      containerStatuses: z
        .array(
          z.looseObject({
            name: z.string(),
            ready: z.boolean(),
            restartCount: z.number().int(),
            image: z.string().optional(),
            state: z
              .looseObject({
                waiting: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).optional(),
                running: z.looseObject({ startedAt: z.string().optional() }).optional(),
                terminated: terminated.optional(),
              })
              .optional(),
          }),
        )
        .optional(),
    })
    .optional(),
})

export const node = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Node'),
  metadata: looseMeta,
  spec: z
    .looseObject({
      unschedulable: z.boolean().optional(),
      taints: z.array(z.looseObject({ key: z.string(), value: z.string().optional(), effect: z.string() })).optional(),
    })
    .optional(),
  status: z
    .looseObject({
      capacity: quantities.optional(),
      allocatable: quantities.optional(),
      conditions: z.array(condition).optional(),
      addresses: z.array(z.looseObject({ type: z.string(), address: z.string() })).optional(),
      nodeInfo: z.looseObject({}).optional(),
    })
    .optional(),
})

export const namespace = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Namespace'),
  metadata: looseMeta,
  spec: z.looseObject({}).optional(),
  status: z.looseObject({ phase: z.string().optional(), conditions: z.array(condition).optional() }).optional(),
})

export const secret = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata: looseMeta,
  type: z.string().optional(),
  data: z.record(z.string(), z.string()).optional(),
  stringData: z.record(z.string(), z.string()).optional(),
})

export const event = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Event'),
  metadata: looseMeta,
  involvedObject: z.looseObject({
    apiVersion: z.string().optional(),
    kind: z.string().optional(),
    name: z.string().optional(),
    namespace: z.string().optional(),
    uid: z.string().optional(),
  }),
  type: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  count: z.number().optional(),
  firstTimestamp: z.string().nullish(),
  lastTimestamp: z.string().nullish(),
  source: z.looseObject({ component: z.string().optional() }).optional(),
})

export const lease = z.looseObject({
  apiVersion: z.literal('coordination.k8s.io/v1'),
  kind: z.literal('Lease'),
  metadata: looseMeta,
  spec: z
    .looseObject({
      holderIdentity: z.string().optional(),
      leaseDurationSeconds: z.number().optional(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.number().int().optional().describe('The fencing epoch: rises with each take-over.'),
    })
    .optional(),
})

export type Probe = z.output<typeof probe>
export type EnvVar = z.output<typeof envVar>
export type Container = z.output<typeof container>
export type PodTemplate = z.output<typeof podTemplate>
export type Pod = z.output<typeof pod>
export type Node = z.output<typeof node>
export type Namespace = z.output<typeof namespace>
export type Secret = z.output<typeof secret>
export type Event = z.output<typeof event>
export type Lease = z.output<typeof lease>

/** One accelerator of a node, in annotation `millwright.dev/node-devices`. */
export interface Device {
  id: string
  model: string
  uuid?: string
  memoryMiB?: number
  healthy: boolean
  reason?: string
}

/** Kubernetes' PodLogOptions, as far as we read them. */
export interface LogOptions {
  follow?: boolean | undefined
  timestamps?: boolean | undefined
  previous?: boolean | undefined
  tailLines?: number | undefined
  sinceSeconds?: number | undefined
  limitBytes?: number | undefined
  /** Aborted when the reader has gone. */
  signal?: AbortSignal | undefined
}
