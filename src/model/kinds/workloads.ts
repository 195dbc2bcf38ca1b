import { z } from 'zod'
import { readAccelerators } from '../accelerators.ts'
import { readDuration } from '../duration.ts'
import { condition, dnsLabel, envName, millwrightVersion, objectMeta } from '../metadata.ts'
import { readQuantity } from '../quantity.ts'
import { envVar, podTemplate, probe } from './kubernetes.ts'

const base = <K extends string>(kind: K) => ({
  apiVersion: z.literal(millwrightVersion).describe('Group and version of the kind.'),
  kind: z.literal(kind).describe('The kind.'),
  metadata: objectMeta.describe('Name, namespace, labels and what the store keeps of every resource.'),
})
const seconds = z.number().min(0).max(315_360_000)
const count = z.number().int().min(0).max(1_000_000)
const timestamp = z.string()
const conditions = z.array(condition).default([]).describe('What is true of it now, and since when.')
const observedGeneration = z.number().int().optional().describe('The generation of spec that this status is about.')
const text = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$/, 'text without control characters')
/** A path, URI or name on one line: no control character of any kind. */
const line = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\u0000-\u001f\u007f]+$/, 'one line without control characters')
/** What an exec can pass on: anything but NUL. */
const argument = z
  .string()
  .max(131_072)
  .regex(/^[^\u0000]*$/, 'text without NUL characters')
const environmentName = z.string().regex(envName, 'letters, digits and "_", not starting with a digit')

export const command = z
  .union([argument.min(1), z.array(argument).min(1).max(4096)])
  .describe('A list is executed as it is; a string is run by /bin/sh -c.')
export const env = z
  .union([z.record(environmentName, z.union([argument, z.number(), z.boolean()])), z.array(envVar).max(4096)])
  .describe("NAME: value, or Kubernetes' list of {name, value | valueFrom}.")
export const quantity = z
  .union([z.string().max(64), z.number()])
  .superRefine((value, context) => {
    const read = readQuantity(value)
    if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem })
  })
  .describe('A Kubernetes quantity: 500m, 2, 8Gi.')
export const resources = z
  .strictObject({
    accelerators: z
      .union([z.string().max(200), z.array(z.string().max(200)).min(1).max(16)])
      .superRefine((value, context) => {
        const read = readAccelerators(value)
        if ('alternatives' in read) return
        context.addIssue({ code: 'custom', message: read.problem, path: read.index === undefined ? [] : [read.index] })
      })
      .optional()
      .describe('MODEL:COUNT per worker, e.g. H100:8 or cpu:1; a list gives alternatives in order of preference.'),
    cpu: quantity.optional().describe('Cores: 2, 0.5 or 500m.'),
    memory: quantity.optional().describe('Bytes: 8Gi, 512Mi.'),
  })
  .describe('What each worker needs.')

const sugar = {
  command: command.optional(),
  args: z.array(argument).max(4096).optional().describe('Arguments after the command.'),
  image: z
    .string()
    .max(500)
    .regex(/^[A-Za-z0-9][^\s\u0000-\u001f\u007f]*$/, 'an image reference such as ghcr.io/org/name:tag')
    .optional()
    .describe('Container image; without Docker on this machine the command runs as a process.'),
  workingDir: line(4096).optional().describe("Folder to start in; the pod's own when left out."),
  env: env.optional(),
  resources: resources.optional(),
}

export const trainingJob = z
  .strictObject({
    ...base('TrainingJob'),
    spec: z
      .strictObject({
        queue: dnsLabel.default('default').describe('The Queue whose share it uses.'),
        priority: z.number().int().min(-1_000_000_000).max(1_000_000_000).default(0).describe('Higher goes first.'),
        preemptible: z
          .boolean()
          .default(true)
          .describe('Whether its seats may be taken for more urgent work, after a checkpoint.'),
        suspend: z.boolean().default(false).describe('true: checkpoint, stop and give the seats back.'),
        workers: z
          .number()
          .int()
          .min(1)
          .max(100_000)
          .optional()
          .describe('Members of the one group (sugar for groups).'),
        ...sugar,
        groups: z
          .array(
            z.strictObject({
              name: dnsLabel.default('worker').describe('Name of the group, unique in the job.'),
              replicas: z.number().int().min(1).max(100_000).default(1).describe('Members of this group.'),
              template: podTemplate.describe("Kubernetes' whole PodTemplateSpec."),
            }),
          )
          .min(1)
          .max(32)
          .optional()
          .describe('Member groups of one shape each; all of them start together.'),
        dataset: line(2000).optional().describe('Name of a Dataset, or a URI (file:///path).'),
        checkpoint: z
          .strictObject({
            interval: z
              .string()
              .max(64)
              .superRefine((value, context) => {
                if (value === 'auto') return
                const read = readDuration(value)
                if ('problem' in read) context.addIssue({ code: 'custom', message: `${read.problem}, or auto` })
                else if (read.ms < 1000) context.addIssue({ code: 'custom', message: 'must be at least 1s' })
              })
              .optional()
              .describe(
                "How often a checkpoint is asked for: 30s, 10m, or auto (the exact optimum from measured cost and failure rate). Left out: the job's own rhythm.",
              ),
            ranks: z.enum(['first', 'all']).default('first').describe('Which ranks write a part of each checkpoint.'),
            keep: z.number().int().min(1).max(1000).default(2).describe('Committed checkpoints kept.'),
          })
          .prefault({})
          .describe('When the job is asked for a checkpoint, who writes it, and how many are kept.'),
        progress: z
          .strictObject({
            pattern: z.string().max(1000).describe('For example: step (?<step>[0-9]+) loss (?<loss>[0-9.]+)'),
          })
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
          .prefault({})
          .describe('Which exit codes are a bug of the job (fail at once) and which are bad luck (restart).'),
        activeDeadlineSeconds: seconds.optional().describe('Fails the job when it has run this long.'),
        ttlSecondsAfterFinished: seconds.optional().describe('Deletes the job this long after its end.'),
        terminationGracePeriodSeconds: seconds
          .default(30)
          .describe('How long a worker may take to checkpoint and stop before it is killed.'),
        output: z
          .strictObject({ model: dnsLabel.describe('Name of the Model to publish.') })
          .optional()
          .describe("Publish rank 0's output as a version of this Model."),
        topology: z
          .strictObject({
            required: z.string().max(317).optional().describe('Node label whose value all members must share.'),
            preferred: z.string().max(317).optional().describe('Node label whose value members should share.'),
          })
          .optional()
          .describe(
            'How close together members sit, by node label (millwright.dev/rack, topology.kubernetes.io/zone).',
          ),
        expectedSeconds: seconds.optional().describe('Declared running time; used to predict starts of others.'),
      })
      .describe('What to run, on what, and what to do when it fails.'),
    status: z
      .strictObject({
        observedGeneration,
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
          .optional()
          .describe('Where it stands, in one word.'),
        conditions,
        attempt: count.optional().describe('The running number of its incarnations.'),
        restarts: count.optional().describe('Failed attempts so far.'),
        restartsSinceProgress: count.optional().describe('Failed attempts since the last durable checkpoint.'),
        workers: count.optional().describe('Members that run now.'),
        step: count.optional().describe('The last step that all ranks finished.'),
        loss: z.number().optional().describe('Loss at that step.'),
        samplesPerSecond: z.number().optional().describe('Samples a second, all ranks together.'),
        tokensPerSecond: z.number().optional().describe('Tokens a second, all ranks together.'),
        stepSeconds: z.number().optional().describe('Mean of the recent steps.'),
        checkpoint: z
          .looseObject({ step: count, attempt: count, at: timestamp })
          .optional()
          .describe('The last durable checkpoint.'),
        lostSeconds: z.number().optional().describe('GPU- or slot-seconds of work lost to failures.'),
        expectedEnd: timestamp.optional().describe('When it should be done at the present rate.'),
        startTime: timestamp.optional().describe('When it first got its seats.'),
        completionTime: timestamp.optional().describe('When it ended.'),
        lastFailure: z
          .looseObject({
            attempt: count,
            reason: z.string(),
            message: z.string(),
            pod: z.string().optional(),
            at: timestamp,
            logTail: z.string().optional(),
          })
          .optional()
          .describe('Why the last attempt failed: the first pod that ended, and its last words.'),
        model: z.string().optional().describe('The Model version that it published.'),
        output: z
          .looseObject({ manifest: z.string(), digest: z.string() })
          .optional()
          .describe("Rank 0's output, once it is durable."),
        message: z.string().optional().describe('One sentence for people.'),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('A gang of workers that runs to completion, checkpoints and recovers.')

export const inferenceService = z
  .strictObject({
    ...base('InferenceService'),
    spec: z
      .strictObject({
        queue: dnsLabel.default('default').describe('The Queue whose share it uses.'),
        priority: z.number().int().min(-1_000_000_000).max(1_000_000_000).default(100).describe('Higher goes first.'),
        suspend: z.boolean().default(false).describe('true: drain, stop all replicas and refuse requests.'),
        model: line(2000)
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
        template: podTemplate
          .optional()
          .describe("Kubernetes' whole PodTemplateSpec of a replica, instead of the sugar."),
        minReplicas: z.number().int().min(0).max(10_000).default(1).describe('0 allows scale to zero.'),
        maxReplicas: z.number().int().min(1).max(10_000).default(1).describe('Most replicas at once.'),
        target: z
          .number()
          .int()
          .min(1)
          .max(100_000)
          .default(4)
          .describe('Requests at once that one replica should serve.'),
        scaleDownSeconds: seconds.default(60).describe('How long demand must stay low before a replica is taken away.'),
        readinessProbe: probe.optional().describe('Says when a replica can serve; GET /health when left out.'),
        livenessProbe: probe.optional().describe('Says when a replica must be replaced.'),
        terminationGracePeriodSeconds: seconds
          .default(30)
          .describe('How long a leaving replica may finish its streams.'),
        progressDeadlineSeconds: seconds
          .default(120)
          .describe('A new version that is not ready by then is rolled back.'),
        timeoutSeconds: seconds.default(600).describe('Longest a request may take.'),
      })
      .describe('What to serve, and how many replicas of it.'),
    status: z
      .strictObject({
        observedGeneration,
        phase: z
          .enum(['Pending', 'Starting', 'Ready', 'Zero', 'Updating', 'Suspended', 'Failed'])
          .optional()
          .describe('Where it stands, in one word.'),
        conditions,
        url: z.string().optional().describe('Where the gateway serves it.'),
        model: z.string().optional().describe('The Model version being served.'),
        replicas: count.optional().describe('Replicas that exist.'),
        readyReplicas: count.optional().describe('Replicas that can serve.'),
        wantedReplicas: count.optional().describe('Replicas that the autoscaler wants.'),
        revision: z.string().optional().describe('The revision that serves.'),
        lastGood: z
          .looseObject({ revision: z.string(), spec: z.looseObject({}) })
          .optional()
          .describe('The spec that served last, so that a rollback can make it again.'),
        failedRevision: z.string().optional().describe('The revision that never became ready and was rolled back.'),
        message: z.string().optional().describe('One sentence for people.'),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('Replicas of a model behind the gateway, scaled between min and max.')

export const accelerator = z.strictObject({
  model: z.string().describe('"cpu" for a slot, else the accelerator model.'),
  count: z.number().min(0).describe('Accelerators per member; a fraction is a share of one.'),
})
export const seat = z.strictObject({
  pod: z.string().describe('The pod that sits here.'),
  group: z.string().describe('Its group.'),
  rank: count.describe('RANK: its number in the gang.'),
  localRank: count.describe('LOCAL_RANK: its number on the node.'),
  node: z.string().describe('The node.'),
  devices: z
    .array(
      z.strictObject({
        id: z.string().describe('Device of the node.'),
        milli: z.number().int().min(1).max(1000).describe('Share of it in thousandths.'),
      }),
    )
    .describe('What it may use.'),
  ports: z.array(z.number().int()).describe('Ports of the node that are its own.'),
})
export const gang = z
  .strictObject({
    ...base('Gang'),
    spec: z
      .strictObject({
        attempt: z.number().int().min(1).describe('Raised for each new incarnation; seats of an older one are void.'),
        queue: z.string().describe('The Queue whose share it uses.'),
        priority: z.number().int().describe('Higher goes first.'),
        preemptible: z.boolean().default(true).describe('Whether its seats may be taken.'),
        suspend: z.boolean().default(false).describe('Wants no seats.'),
        groups: z
          .array(
            z.strictObject({
              name: z.string().describe('Name of the group.'),
              min: z.number().int().min(1).describe('Fewest members that are of use.'),
              max: z.number().int().min(1).describe('Most members that are of use.'),
              accelerators: z.array(accelerator).min(1).describe('Alternatives in order of preference.'),
              cpuMilli: z.number().min(0).default(0).describe('Thousandths of a core per member.'),
              memoryBytes: z.number().min(0).default(0).describe('Memory per member.'),
              ports: z.number().int().min(0).default(1).describe('Ports of its node that each member needs.'),
              nodeSelector: z.record(z.string(), z.string()).default({}).describe('Labels that the node must have.'),
              tolerations: z.array(z.looseObject({})).default([]).describe('Taints that members put up with.'),
            }),
          )
          .min(1)
          .describe('Members of one shape each; all are seated together.'),
        topology: z.looseObject({}).optional().describe('How close together members sit.'),
        checkpointRequest: z
          .strictObject({
            step: count.describe('The step to checkpoint at, the same for all ranks.'),
            stop: z.boolean().default(false).describe('Stop once it is written.'),
          })
          .optional()
          .describe('A checkpoint asked of all ranks.'),
        expectedSeconds: seconds.optional().describe('Declared running time.'),
      })
      .describe('What to seat.'),
    status: z
      .strictObject({
        observedGeneration,
        conditions,
        seats: z
          .strictObject({
            attempt: count.describe('The attempt that they are for.'),
            epoch: count.describe('Epoch of the leader that decided.'),
            at: timestamp.describe('When they were committed.'),
            masterAddr: z.string().describe('MASTER_ADDR: where rank 0 listens.'),
            masterPort: z.number().int().describe('MASTER_PORT.'),
            members: z.array(seat).describe('One seat a member.'),
          })
          .optional()
          .describe('Where each member sits; void unless the attempt is spec.attempt.'),
        hold: z.looseObject({}).optional().describe('Capacity kept for it while victims leave.'),
        epoch: count
          .optional()
          .describe('Leader epoch that last touched this gang: a new leader writes its own before it decides.'),
        checkpoint: z
          .strictObject({
            step: count.describe('Step that it holds.'),
            attempt: count.describe('Attempt that wrote it.'),
            at: timestamp.describe('When it was committed.'),
            digest: z.string().describe('Digest over its manifests.'),
            bytes: z.number().default(0).describe('Its size.'),
            manifests: z.array(z.string()).describe('Blob keys of the manifests, by rank.'),
            seconds: z.number().optional().describe('Stall per checkpoint.'),
          })
          .optional()
          .describe('The last committed checkpoint.'),
        checkpoints: z
          .array(z.strictObject({ step: count, attempt: count, manifests: z.array(z.string()) }))
          .default([])
          .describe('Older committed checkpoints that retention still keeps, newest first.'),
        stepSeconds: z.number().optional().describe('Mean of the recent steps.'),
        restartSeconds: z.number().optional().describe('Measured time from seats to the first step.'),
        expectedEnd: timestamp.optional().describe('When it should be done at the present rate.'),
      })
      .optional()
      .describe('What was seen and decided last.'),
  })
  .describe('Pods that start together or not at all: what the scheduler seats.')

/** One writer: the agent (of a pod) or a gateway (of a service). Named `pod.<pod>` or `service.<service>`. */
export const report = z
  .strictObject({
    ...base('Report'),
    spec: z
      .strictObject({
        pod: z.strictObject({ name: z.string(), uid: z.string() }).optional().describe('The pod that it is of.'),
        service: z
          .strictObject({ name: z.string(), uid: z.string() })
          .optional()
          .describe('The service that it is of.'),
        gang: z.string().optional().describe('The gang of the pod.'),
        attempt: count.optional().describe('The attempt of the pod.'),
        node: z.string().optional().describe('The node of the pod.'),
      })
      .describe('What it is a report of.'),
    status: z
      .strictObject({
        at: timestamp.optional().describe('When it was written.'),
        // of a pod
        rank: count.optional().describe('Rank of the pod.'),
        pid: count.optional().describe('Process of the pod on its node.'),
        startedAtMs: z.number().optional().describe('When its process started.'),
        firstStepAtMs: z.number().optional().describe('When its first step was done.'),
        restoredStep: count.optional().describe('Step of the checkpoint that it started from.'),
        step: count.optional().describe('Last step that it finished.'),
        stepAtMs: z.number().optional().describe('When its last step was done.'),
        loss: z.number().optional().describe('Loss at that step.'),
        stepSeconds: z.number().optional().describe('Mean of the recent steps.'),
        samplesPerSecond: z.number().optional().describe('Samples a second.'),
        tokensPerSecond: z.number().optional().describe('Tokens a second.'),
        checkpoints: z
          .array(
            z.strictObject({
              step: count.describe('Step that it holds.'),
              rank: count.describe('Rank that wrote it.'),
              manifest: z.string().describe('Blob key of its manifest.'),
              digest: z.string().describe('sha256 of its manifest.'),
              bytes: z.number().describe('Its size.'),
              stallSeconds: z.number().optional().describe('How long it kept the job from working.'),
              persistSeconds: z.number().optional().describe('How long shipping took.'),
              writtenAtMs: z.number().describe('When the job had written it.'),
            }),
          )
          .default([])
          .describe('Shipped and verified; the newest few.'),
        stopped: z.boolean().optional().describe('The job said that it stopped because it was asked to.'),
        ended: z
          .strictObject({
            atMs: z.number().describe("When, by the shim's clock."),
            exitCode: z.number().int().optional().describe('Exit code, if it exited.'),
            signal: z.string().optional().describe('Signal, if one ended it.'),
            reason: z.string().describe('In one CamelCase word.'),
            message: z.string().describe('In a sentence.'),
            byAgent: z.boolean().default(false).describe('The agent ended it (stop, kill), not the job itself.'),
          })
          .optional()
          .describe('How its process ended.'),
        output: z
          .strictObject({
            manifest: z.string().describe('Blob key of its manifest.'),
            digest: z.string().describe('sha256 of its manifest.'),
            bytes: z.number().describe('Its size.'),
            files: z.number().describe('How many files.'),
            metrics: z.record(z.string(), z.unknown()).optional().describe('What the job said of it (metrics.json).'),
          })
          .optional()
          .describe('Shipped output of rank 0.'),
        logTail: z.string().optional().describe('Last lines of the log, when it failed or hung.'),
        hungSinceMs: z.number().optional().describe('Since when no step was done for three mean steps.'),
        // of a service
        inFlight: count.optional().describe('Requests being served.'),
        held: count.optional().describe('Requests waiting for a replica.'),
        heldSinceMs: z.number().optional().describe('Since when the oldest of them waits.'),
        lastRequestAtMs: z.number().optional().describe('When the last request came.'),
        requestsPerSecond: z.number().optional().describe('Rate over the last seconds.'),
        concurrency: z.number().optional().describe('Mean number of requests under way since the report before.'),
        ttftSeconds: z.number().optional().describe('Mean time to the first token of late.'),
        promptTokens: z.number().optional().describe('Since the gateway started.'),
        completionTokens: z.number().optional().describe('Since the gateway started.'),
        requests: z.number().optional().describe('Since the gateway started.'),
        perReplica: z.record(z.string(), z.number()).optional().describe('In-flight requests by pod.'),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('What an agent says of a pod, or a gateway of a service.')

export const model = z
  .strictObject({
    ...base('Model'),
    spec: z
      .strictObject({
        model: z.string().describe('The model that this is a version of.'),
        version: z.number().int().min(1).describe('Its number; the newest is served.'),
        manifest: z.string().describe('Blob key of the manifest.'),
        digest: z.string().describe('sha256 of the manifest.'),
        bytes: z.number().min(0).describe('Its size.'),
        format: z.string().max(64).default('gguf').describe('Format of the weights.'),
        files: z
          .array(
            z.strictObject({
              path: z.string().describe('Path below the model folder.'),
              size: z.number().min(0).describe('In bytes.'),
              sha256: z.string().describe('Checksum.'),
            }),
          )
          .describe('Its files.'),
        lineage: z
          .strictObject({
            job: z.string().describe('The TrainingJob that made it.'),
            jobUid: z.string().describe('Its uid.'),
            attempt: count.describe('The attempt that finished.'),
            step: count.optional().describe('The last step.'),
            dataset: z.string().optional().describe('The data that it was trained on.'),
            datasetDigest: z.string().optional().describe('sha256 of the data.'),
            parent: z.string().optional().describe('The model that it was trained from.'),
            metrics: z.record(z.string(), z.unknown()).default({}).describe('What the job said of it.'),
          })
          .optional()
          .describe('Where it comes from.'),
      })
      .describe('Never changes: a new version is a new Model.'),
    status: z.strictObject({ conditions }).optional().describe('What was seen last.'),
  })
  .describe('A version of a model in object storage, with its lineage.')

export const dataset = z
  .strictObject({
    ...base('Dataset'),
    spec: z
      .strictObject({
        uri: line(2000).describe('file:///path of a file or folder.'),
        description: text(2000).optional().describe('For people.'),
      })
      .describe('Where the data is.'),
    status: z
      .strictObject({
        conditions,
        digest: z.string().optional().describe('sha256 over its files.'),
        bytes: z.number().optional().describe('Its size.'),
        files: count.optional().describe('How many files.'),
        observedGeneration,
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('A checksummed set of files to train on.')

export const pool = z
  .strictObject({
    ...base('Pool'),
    spec: z
      .strictObject({
        accelerator: z
          .string()
          .max(63)
          .regex(/^[A-Za-z][A-Za-z0-9._-]*$/, 'a model such as H100, or cpu')
          .default('cpu')
          .describe('Model of its accelerators; cpu: slots.'),
        minNodes: count.default(0).describe('Fewest nodes.'),
        maxNodes: count.default(1).describe('Most nodes.'),
        capacityType: z
          .enum(['reserved', 'on-demand', 'spot'])
          .default('reserved')
          .describe('How it is paid for; spot nodes may be taken away.'),
        pricePerSlotHour: z
          .number()
          .min(0)
          .max(100_000)
          .optional()
          .describe("USD per accelerator (or slot) and hour; the price book's when left out."),
        zone: z.string().max(63).optional().describe('Zone of its nodes.'),
        provisioningSeconds: seconds.default(0).describe('How long a new node takes.'),
        allowEnv: z
          .array(environmentName)
          .max(256)
          .default([])
          .describe('Names such as LD_PRELOAD or NODE_OPTIONS that jobs here may set.'),
        hostPaths: z.array(line(4096).startsWith('/')).max(256).default([]).describe('Host paths that pods may mount.'),
      })
      .describe('What the nodes are like.'),
    status: z
      .strictObject({
        conditions,
        nodes: count.optional().describe('Nodes that exist.'),
        readyNodes: count.optional().describe('Nodes that can take work.'),
        slots: count.optional().describe('Accelerators (or slots) of all nodes.'),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('Nodes of one shape, with their price.')

const perModel = z.record(z.string(), z.number().min(0).max(1e9))
export const queue = z
  .strictObject({
    ...base('Queue'),
    spec: z
      .strictObject({
        namespaces: z
          .array(z.union([dnsLabel, z.literal('*')]))
          .max(1000)
          .default(['default'])
          .describe('Namespaces that may use it; "*" for all.'),
        parent: dnsLabel.optional().describe('The Queue that it is a part of.'),
        weight: z.number().min(0).max(1_000_000).default(1).describe('Its share of what others leave unused.'),
        nominalQuota: perModel.optional().describe('Accelerators by model; unlimited when left out.'),
        borrowingLimit: perModel.optional().describe('How much more it may borrow, by model; unlimited when left out.'),
        lendingLimit: perModel.optional().describe('How much of its quota others may borrow, by model.'),
        stopPolicy: z
          .enum(['None', 'Hold', 'HoldAndDrain'])
          .default('None')
          .describe('Hold: nothing new starts. HoldAndDrain: what runs is also stopped, after a checkpoint.'),
        budget: z
          .strictObject({ usdPerMonth: z.number().min(0).max(1e12).describe('USD per calendar month.') })
          .optional()
          .describe('What it may spend.'),
      })
      .describe('How big the share is.'),
    status: z
      .strictObject({
        conditions,
        running: count.optional().describe('Gangs that hold seats.'),
        waiting: count.optional().describe('Gangs that wait for seats.'),
        usage: perModel.optional().describe('Accelerators in use, by model.'),
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe("A tenant's share of the factory.")

/** Ledger of one node and hour. Written by observe/ledger alone. */
export const ledgerPage = z
  .strictObject({
    ...base('LedgerPage'),
    spec: z
      .strictObject({
        node: z.string().describe('The node.'),
        pool: z.string().describe('Its pool.'),
        accelerator: z.string().default('cpu').describe('Which of its accelerators; a node may have several models.'),
        fromMs: z.number().describe('Start of the hour.'),
      })
      .describe('Which node, accelerator and hour it accounts for.'),
    status: z
      .strictObject({
        slots: count.describe('Accelerators (or slots) of the node.'),
        throughMs: z.number().describe('Everything up to here is accounted for.'),
        revision: z.string().describe('The store revision that it includes.'),
        capacitySlotMs: z
          .number()
          .int()
          .describe('What there was to account for: slots times milliseconds, summed up.'),
        pricePerSlotHour: z.number().describe('USD per slot and hour.'),
        entries: z
          .array(
            z.strictObject({
              queue: z.string().describe('Whose share it was.'),
              owner: z.string().describe('The job or service, or nothing.'),
              bucket: z.string().describe('What the time went to.'),
              slotMs: z.number().describe('Slots times milliseconds.'),
            }),
          )
          .describe('Every slot-millisecond of the hour so far, in exactly one entry.'),
        provisional: z
          .array(
            z.strictObject({
              owner: z.string(),
              queue: z.string(),
              gang: z.string().describe('namespace/name and uid of the gang.'),
              attempt: count,
              checkpoint: z.string().describe('The durable checkpoint that it came after; empty for none.'),
              slotMs: z.number(),
              startupMs: z.number().describe('The part of it before a first step was seen.'),
            }),
          )
          .default([])
          .describe('Training time that the next durable checkpoint makes productive and a failure makes lost.'),
        usage: z
          .array(
            z.strictObject({
              owner: z.string().describe('The service.'),
              queue: z.string().describe('Whose share it was.'),
              requests: z.number().describe('Requests answered.'),
              promptTokens: z.number().describe('Tokens read.'),
              completionTokens: z.number().describe('Tokens written.'),
            }),
          )
          .default([])
          .describe('What services with a replica here answered.'),
      })
      .optional()
      .describe('The account.'),
  })
  .describe('The account of one node and hour.')

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
