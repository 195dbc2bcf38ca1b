import { z } from 'zod'
import { base, count, step, timeMs, timestamp } from './fields.ts'

/** Where checkpoints are read from, the nearest first. */
export const restoredFrom = ['node', 'peer', 'storage'] as const
export type RestoredFrom = (typeof restoredFrom)[number]

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
        startedAtMs: timeMs.optional().describe('When its process started.'),
        firstStepAtMs: timeMs.optional().describe('When its first step was done.'),
        restoredStep: step.optional().describe('Step of the checkpoint that it started from.'),
        restoredFrom: z
          .enum(restoredFrom)
          .optional()
          .describe('The furthest place that any of that was read from: its own node, another one, object storage.'),
        step: step.optional().describe('Last step that it finished.'),
        steps: step.optional().describe('How many it will do in all, where the job says so.'),
        stepAtMs: timeMs.optional().describe('When its last step was done.'),
        loss: z.number().optional().describe('Loss at that step.'),
        lossSpike: z
          .strictObject({
            step: step.describe('The first step with it.'),
            atMs: timeMs.describe('When that was done.'),
            loss: z.number().optional().describe('Loss two steps later; left out where it is no number.'),
            usual: z.number().optional().describe('Median of the losses before, where that is known.'),
          })
          .optional()
          .describe(
            "Its loss was no number, or many times what it was, for three steps in a row (the job's failurePolicy.lossSpike).",
          ),
        stepSeconds: z.number().optional().describe('Mean of the recent steps.'),
        regroupSeconds: z
          .number()
          .min(0)
          .optional()
          .describe('How long it has stood still in all, while ranks left or joined.'),
        busySeconds: z
          .number()
          .min(0)
          .optional()
          .describe(
            'Of a step, how long it works by itself and waits for no other rank: mean of the last eight. Until its process ends.',
          ),
        pace: z
          .strictObject({
            mean: z.number().min(0).describe('Mean.'),
            low: z.number().min(0).describe('In its quickest tenth.'),
            high: z.number().min(0).describe('In its slowest tenth.'),
          })
          .optional()
          .describe('Seconds a step over the latter half of the run, with all pauses between steps.'),
        samplesPerSecond: z.number().optional().describe('Samples a second.'),
        tokensPerSecond: z.number().optional().describe('Tokens a second.'),
        checkpoints: z
          .array(
            z.strictObject({
              step: step.describe('Step that it holds.'),
              rank: count.describe('Rank that wrote it.'),
              manifest: z.string().describe('Blob key of its manifest.'),
              digest: z.string().describe('sha256 of its manifest.'),
              bytes: z.number().describe('Its size.'),
              stallSeconds: z.number().optional().describe('How long it kept the job from working.'),
              persistSeconds: z.number().optional().describe('How long shipping took.'),
              copies: z.array(z.string()).optional().describe('Nodes that have a copy of it in memory.'),
              writtenAtMs: timeMs.describe('When the job had written it.'),
            }),
          )
          .default([])
          .describe('Shipped and verified; the newest few.'),
        damaged: z
          .strictObject({
            attempt: count.describe('Attempt that wrote it.'),
            step: step.describe('Step that it was to hold.'),
            message: z.string().describe('What is wrong with it.'),
          })
          .optional()
          .describe('The committed checkpoint that the pod was to start from and could not; it did not start.'),
        stopped: z.boolean().optional().describe('The job said that it stopped because it was asked to.'),
        ended: z
          .strictObject({
            atMs: timeMs.describe("When, by the shim's clock."),
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
            data: z
              .strictObject({
                uri: z.string().describe('Where it lay.'),
                digest: z.string().describe('sha256 over its files, as in the status of a Dataset.'),
                bytes: z.number().describe('Its size.'),
                files: z.number().describe('How many files.'),
              })
              .optional()
              .describe('The data that it was made from; left out when it changed while the job ran.'),
          })
          .optional()
          .describe('Shipped output of rank 0.'),
        logTail: z.string().optional().describe('Last lines of the log, when it failed or hung.'),
        hungSinceMs: timeMs.optional().describe('Since when no step was done for three mean steps.'),
        // of a service
        inFlight: count.optional().describe('Requests being served.'),
        held: count.optional().describe('Requests waiting for a replica.'),
        heldSinceMs: timeMs.optional().describe('Since when the oldest of them waits.'),
        lastRequestAtMs: timeMs.optional().describe('When the last request came.'),
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

export type Report = z.output<typeof report>
