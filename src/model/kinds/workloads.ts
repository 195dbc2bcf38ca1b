import { z } from 'zod'
import { condition, dnsLabel, millwrightVersion, objectMeta } from '../metadata.ts'
import { envVar, podTemplate, probe } from './kubernetes.ts'

const base = <K extends string>(kind: K) => ({
  apiVersion: z.literal(millwrightVersion),
  kind: z.literal(kind),
  metadata: objectMeta,
})
const seconds = z.number().min(0).max(315_360_000)
const count = z.number().int().min(0).max(1_000_000)
const timestamp = z.string()
const conditions = z.array(condition).default([])

export const command = z
  .union([z.string().min(1).max(131_072), z.array(z.string().max(131_072)).min(1).max(4096)])
  .describe('A list is executed as it is; a string is run by /bin/sh -c.')
export const env = z
  .union([z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])), z.array(envVar)])
  .describe("NAME: value, or Kubernetes' list of {name, value | valueFrom}.")
export const quantity = z.union([z.string().max(64), z.number()]).describe('A Kubernetes quantity: 500m, 2, 8Gi.')
export const resources = z
  .strictObject({
    accelerators: z
      .union([z.string().max(200), z.array(z.string().max(200)).min(1).max(16)])
      .optional()
      .describe('MODEL:COUNT per worker, e.g. H100:8 or cpu:1; a list gives alternatives in order of preference.'),
    cpu: quantity.optional(),
    memory: quantity.optional(),
  })
  .describe('What each worker needs.')

const sugar = {
  command: command.optional(),
  args: z.array(z.string().max(131_072)).max(4096).optional(),
  image: z
    .string()
    .max(500)
    .optional()
    .describe('Container image; without Docker on this machine the command runs as a process.'),
  workingDir: z.string().max(4096).optional(),
  env: env.optional(),
  resources: resources.optional(),
}

export const trainingJob = z.strictObject({
  ...base('TrainingJob'),
  spec: z.strictObject({
    queue: dnsLabel.default('default'),
    priority: z.number().int().min(-1_000_000_000).max(1_000_000_000).default(0).describe('Higher goes first.'),
    preemptible: z.boolean().default(true),
    suspend: z.boolean().default(false).describe('true: checkpoint, stop and give the seats back.'),
    workers: z.number().int().min(1).max(100_000).optional().describe('Members of the one group (sugar for groups).'),
    ...sugar,
    groups: z
      .array(
        z.strictObject({
          name: dnsLabel.default('worker'),
          replicas: z.number().int().min(1).max(100_000).default(1),
          template: podTemplate,
        }),
      )
      .min(1)
      .max(32)
      .optional()
      .describe('Member groups of one shape each; all of them start together.'),
    dataset: z.string().max(2000).optional().describe('Name of a Dataset, or a URI (file:///path).'),
    checkpoint: z
      .strictObject({
        interval: z
          .union([z.literal('auto'), z.string().regex(/^[0-9]+(ms|s|m|h)$/)])
          .optional()
          .describe(
            "How often a checkpoint is asked for: 30s, 10m, or auto (the exact optimum from measured cost and failure rate). Left out: the job's own rhythm.",
          ),
        ranks: z.enum(['first', 'all']).default('first'),
        keep: z.number().int().min(1).max(1000).default(2).describe('Committed checkpoints kept.'),
      })
      .prefault({}),
    progress: z
      .strictObject({ pattern: z.string().max(1000) })
      .optional()
      .describe('Regular expression over the log with the named groups step, loss, samples, tokens.'),
    maxRestarts: z
      .number()
      .int()
      .min(0)
      .max(10_000)
      .default(5)
      .describe('Failed attempts allowed without a new durable checkpoint between them.'),
    failurePolicy: z
      .strictObject({
        failExitCodes: z
          .array(z.number().int().min(1).max(255))
          .max(255)
          .optional()
          .describe('Exit codes that fail the job at once.'),
        restartExitCodes: z
          .array(z.number().int().min(1).max(255))
          .max(255)
          .optional()
          .describe('Exit codes that always restart.'),
      })
      .prefault({}),
    activeDeadlineSeconds: seconds.optional(),
    ttlSecondsAfterFinished: seconds.optional(),
    terminationGracePeriodSeconds: seconds.default(30),
    output: z
      .strictObject({ model: dnsLabel })
      .optional()
      .describe("Publish rank 0's output as a version of this Model."),
    topology: z.strictObject({ required: z.string().optional(), preferred: z.string().optional() }).optional(),
    expectedSeconds: seconds.optional().describe('Declared running time; used to predict starts of others.'),
  }),
  status: z
    .strictObject({
      observedGeneration: z.number().int().optional(),
      phase: z
        .enum([
          'Pending',
          'Waiting',
          'Starting',
          'Running',
          'Suspending',
          'Suspended',
          'Restarting',
          'Succeeded',
          'Failed',
        ])
        .optional(),
      conditions,
      attempt: count.optional(),
      restarts: count.optional(),
      /** Failed attempts since the last durable checkpoint. */
      restartsSinceProgress: count.optional(),
      workers: count.optional(),
      step: count.optional(),
      loss: z.number().optional(),
      samplesPerSecond: z.number().optional(),
      tokensPerSecond: z.number().optional(),
      stepSeconds: z.number().optional(),
      checkpoint: z.looseObject({ step: count, attempt: count, at: timestamp }).optional(),
      lostSeconds: z.number().optional().describe('GPU- or slot-seconds of work lost to failures.'),
      expectedEnd: timestamp.optional(),
      startTime: timestamp.optional(),
      completionTime: timestamp.optional(),
      lastFailure: z
        .looseObject({
          attempt: count,
          reason: z.string(),
          message: z.string(),
          pod: z.string().optional(),
          at: timestamp,
          logTail: z.string().optional(),
        })
        .optional(),
      model: z.string().optional().describe('The Model version that it published.'),
      output: z.looseObject({ manifest: z.string(), digest: z.string() }).optional(),
      message: z.string().optional(),
    })
    .optional(),
})

export const inferenceService = z.strictObject({
  ...base('InferenceService'),
  spec: z.strictObject({
    queue: dnsLabel.default('default'),
    priority: z.number().int().min(-1_000_000_000).max(1_000_000_000).default(100),
    suspend: z.boolean().default(false),
    model: z
      .string()
      .max(2000)
      .optional()
      .describe('A Model (newest version), one version of it (NAME-vN), or a URI (file:///path.gguf).'),
    engine: z
      .enum(['llama.cpp'])
      .optional()
      .describe('A built-in engine. Give command or image instead for any server that speaks the OpenAI API.'),
    ...sugar,
    port: z
      .number()
      .int()
      .min(1)
      .max(65_535)
      .optional()
      .describe(
        'Container port, where pods have addresses of their own. On this machine a free port is given as $(PORT).',
      ),
    template: podTemplate.optional(),
    minReplicas: z.number().int().min(0).max(10_000).default(1).describe('0 allows scale to zero.'),
    maxReplicas: z.number().int().min(1).max(10_000).default(1),
    target: z.number().int().min(1).max(100_000).default(4).describe('Requests at once that one replica should serve.'),
    scaleDownSeconds: seconds.default(60).describe('How long demand must stay low before a replica is taken away.'),
    readinessProbe: probe.optional(),
    livenessProbe: probe.optional(),
    terminationGracePeriodSeconds: seconds.default(30).describe('How long a leaving replica may finish its streams.'),
    progressDeadlineSeconds: seconds.default(120).describe('A new version that is not ready by then is rolled back.'),
    timeoutSeconds: seconds.default(600).describe('Longest a request may take.'),
  }),
  status: z
    .strictObject({
      observedGeneration: z.number().int().optional(),
      phase: z.enum(['Pending', 'Starting', 'Ready', 'Zero', 'Updating', 'Suspended', 'Failed']).optional(),
      conditions,
      url: z.string().optional(),
      model: z.string().optional().describe('The Model version being served.'),
      replicas: count.optional(),
      readyReplicas: count.optional(),
      wantedReplicas: count.optional(),
      revision: z.string().optional().describe('The revision that serves.'),
      /** Templates by revision, so that a rollback can recreate the old one: the spec snapshot that served last. */
      lastGood: z.looseObject({ revision: z.string(), spec: z.looseObject({}) }).optional(),
      failedRevision: z.string().optional(),
      message: z.string().optional(),
    })
    .optional(),
})

export const accelerator = z.strictObject({
  model: z.string().describe('"cpu" for a slot, else the accelerator model.'),
  count: z.number().min(0).describe('Accelerators per member; a fraction is a share of one.'),
})
export const seat = z.strictObject({
  pod: z.string(),
  group: z.string(),
  rank: count,
  localRank: count,
  node: z.string(),
  devices: z.array(z.strictObject({ id: z.string(), milli: z.number().int().min(1).max(1000) })),
  ports: z.array(z.number().int()),
})
export const gang = z.strictObject({
  ...base('Gang'),
  spec: z.strictObject({
    attempt: z.number().int().min(1),
    queue: z.string(),
    priority: z.number().int(),
    preemptible: z.boolean().default(true),
    suspend: z.boolean().default(false).describe('Wants no seats.'),
    groups: z
      .array(
        z.strictObject({
          name: z.string(),
          min: z.number().int().min(1),
          max: z.number().int().min(1),
          accelerators: z.array(accelerator).min(1).describe('Alternatives in order of preference.'),
          cpuMilli: z.number().min(0).default(0),
          memoryBytes: z.number().min(0).default(0),
          ports: z.number().int().min(0).default(1),
          nodeSelector: z.record(z.string(), z.string()).default({}),
          tolerations: z.array(z.looseObject({})).default([]),
        }),
      )
      .min(1),
    topology: z.looseObject({}).optional(),
    checkpointRequest: z.strictObject({ step: count, stop: z.boolean().default(false) }).optional(),
    expectedSeconds: seconds.optional(),
  }),
  status: z
    .strictObject({
      observedGeneration: z.number().int().optional(),
      conditions,
      seats: z
        .strictObject({
          attempt: count,
          epoch: count,
          at: timestamp,
          masterAddr: z.string(),
          masterPort: z.number().int(),
          members: z.array(seat),
        })
        .optional(),
      hold: z.looseObject({}).optional(),
      /** Leader epoch that last touched this gang: a new leader writes its own before it decides. */
      epoch: count.optional(),
      checkpoint: z
        .strictObject({
          step: count,
          attempt: count,
          at: timestamp,
          digest: z.string(),
          bytes: z.number().default(0),
          manifests: z.array(z.string()),
          seconds: z.number().optional().describe('Stall per checkpoint.'),
        })
        .optional(),
      /** Older committed checkpoints that retention still keeps, newest first. */
      checkpoints: z.array(z.strictObject({ step: count, attempt: count, manifests: z.array(z.string()) })).default([]),
      stepSeconds: z.number().optional(),
      restartSeconds: z.number().optional(),
      expectedEnd: timestamp.optional(),
    })
    .optional(),
})

/** One writer: the agent (of a pod) or a gateway (of a service). Named `pod.<pod>` or `service.<service>`. */
export const report = z.strictObject({
  ...base('Report'),
  spec: z.strictObject({
    pod: z.strictObject({ name: z.string(), uid: z.string() }).optional(),
    service: z.strictObject({ name: z.string(), uid: z.string() }).optional(),
    gang: z.string().optional(),
    attempt: count.optional(),
    node: z.string().optional(),
  }),
  status: z
    .strictObject({
      at: timestamp.optional(),
      // of a pod
      rank: count.optional(),
      pid: count.optional(),
      startedAtMs: z.number().optional(),
      firstStepAtMs: z.number().optional(),
      restoredStep: count.optional(),
      step: count.optional(),
      stepAtMs: z.number().optional(),
      loss: z.number().optional(),
      stepSeconds: z.number().optional().describe('Mean of the recent steps.'),
      samplesPerSecond: z.number().optional(),
      tokensPerSecond: z.number().optional(),
      checkpoints: z
        .array(
          z.strictObject({
            step: count,
            rank: count,
            manifest: z.string(),
            digest: z.string(),
            bytes: z.number(),
            stallSeconds: z.number().optional(),
            persistSeconds: z.number().optional(),
            writtenAtMs: z.number(),
          }),
        )
        .default([])
        .describe('Shipped and verified; the newest few.'),
      stopped: z.boolean().optional().describe('The job said that it stopped because it was asked to.'),
      ended: z
        .strictObject({
          atMs: z.number(),
          exitCode: z.number().int().optional(),
          signal: z.string().optional(),
          reason: z.string(),
          message: z.string(),
          byAgent: z.boolean().default(false).describe('The agent ended it (stop, kill), not the job itself.'),
        })
        .optional(),
      output: z
        .strictObject({
          manifest: z.string(),
          digest: z.string(),
          bytes: z.number(),
          files: z.number(),
          metrics: z.record(z.string(), z.unknown()).optional(),
        })
        .optional(),
      logTail: z.string().optional(),
      hungSinceMs: z.number().optional(),
      // of a service
      inFlight: count.optional(),
      held: count.optional().describe('Requests waiting for a replica.'),
      heldSinceMs: z.number().optional(),
      lastRequestAtMs: z.number().optional(),
      requestsPerSecond: z.number().optional(),
      ttftSeconds: z.number().optional(),
      promptTokens: z.number().optional().describe('Since the gateway started.'),
      completionTokens: z.number().optional(),
      requests: z.number().optional(),
      perReplica: z.record(z.string(), z.number()).optional().describe('In-flight requests by pod.'),
    })
    .optional(),
})

export const model = z.strictObject({
  ...base('Model'),
  spec: z.strictObject({
    model: z.string().describe('The model that this is a version of.'),
    version: z.number().int().min(1),
    manifest: z.string().describe('Blob key of the manifest.'),
    digest: z.string().describe('sha256 of the manifest.'),
    bytes: z.number(),
    format: z.string().default('gguf'),
    files: z.array(z.strictObject({ path: z.string(), size: z.number(), sha256: z.string() })),
    lineage: z
      .strictObject({
        job: z.string(),
        jobUid: z.string(),
        attempt: count,
        step: count.optional(),
        dataset: z.string().optional(),
        datasetDigest: z.string().optional(),
        parent: z.string().optional(),
        metrics: z.record(z.string(), z.unknown()).default({}),
      })
      .optional(),
  }),
  status: z.strictObject({ conditions }).optional(),
})

export const dataset = z.strictObject({
  ...base('Dataset'),
  spec: z.strictObject({
    uri: z.string().max(2000).describe('file:///path of a file or folder.'),
    description: z.string().max(2000).optional(),
  }),
  status: z
    .strictObject({
      conditions,
      digest: z.string().optional(),
      bytes: z.number().optional(),
      files: count.optional(),
      observedGeneration: z.number().int().optional(),
    })
    .optional(),
})

export const pool = z.strictObject({
  ...base('Pool'),
  spec: z.strictObject({
    accelerator: z.string().default('cpu'),
    minNodes: count.default(0),
    maxNodes: count.default(1),
    capacityType: z.enum(['reserved', 'on-demand', 'spot']).default('reserved'),
    pricePerSlotHour: z
      .number()
      .min(0)
      .max(100_000)
      .optional()
      .describe("USD per accelerator (or slot) and hour; the price book's when left out."),
    zone: z.string().optional(),
    provisioningSeconds: seconds.default(0),
    allowEnv: z
      .array(z.string())
      .default([])
      .describe('Names such as LD_PRELOAD or NODE_OPTIONS that jobs here may set.'),
    hostPaths: z.array(z.string()).default([]).describe('Host paths that pods may mount.'),
  }),
  status: z
    .strictObject({ conditions, nodes: count.optional(), readyNodes: count.optional(), slots: count.optional() })
    .optional(),
})

const perModel = z.record(z.string(), z.number().min(0).max(1e9))
export const queue = z.strictObject({
  ...base('Queue'),
  spec: z.strictObject({
    namespaces: z.array(z.string()).default(['default']).describe('Namespaces that may use it; "*" for all.'),
    parent: z.string().optional(),
    weight: z.number().min(0).max(1_000_000).default(1),
    nominalQuota: perModel.optional().describe('Accelerators by model; unlimited when left out.'),
    borrowingLimit: perModel.optional(),
    lendingLimit: perModel.optional(),
    stopPolicy: z.enum(['None', 'Hold', 'HoldAndDrain']).default('None'),
    budget: z.strictObject({ usdPerMonth: z.number().min(0) }).optional(),
  }),
  status: z
    .strictObject({ conditions, running: count.optional(), waiting: count.optional(), usage: perModel.optional() })
    .optional(),
})

/** Ledger of one node and hour. Written by observe/ledger alone. */
export const ledgerPage = z.strictObject({
  ...base('LedgerPage'),
  spec: z.strictObject({ node: z.string(), pool: z.string(), fromMs: z.number() }),
  status: z
    .strictObject({
      slots: count,
      /** Everything up to here is accounted for, with the store revision that it includes. */
      throughMs: z.number(),
      revision: z.string(),
      pricePerSlotHour: z.number(),
      entries: z.array(
        z.strictObject({ queue: z.string(), owner: z.string(), bucket: z.string(), slotMs: z.number() }),
      ),
      /** Training time that the next durable checkpoint makes productive and a failure makes lost, by owner. */
      provisional: z
        .array(z.looseObject({ owner: z.string(), queue: z.string(), attempt: count, slotMs: z.number() }))
        .default([]),
    })
    .optional(),
})

export type Env = z.output<typeof env>
export type Resources = z.output<typeof resources>
export type TrainingJob = z.output<typeof trainingJob>
export type InferenceService = z.output<typeof inferenceService>
export type Gang = z.output<typeof gang>
export type Seat = z.output<typeof seat>
export type Report = z.output<typeof report>
export type Model = z.output<typeof model>
export type Dataset = z.output<typeof dataset>
export type Pool = z.output<typeof pool>
export type Queue = z.output<typeof queue>
export type LedgerPage = z.output<typeof ledgerPage>
