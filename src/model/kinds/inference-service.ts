import { z } from 'zod'
import { capacityWanted } from '../capacity.ts'
import { dnsLabel } from '../metadata.ts'
import { disruptionBudget } from './disruption-budget.ts'
import { base, conditions, count, line, observedGeneration, seconds, sugar } from './fields.ts'
import { podTemplate, probe } from './kubernetes.ts'

export const inferenceService = z
  .strictObject({
    ...base('InferenceService'),
    spec: z
      .strictObject({
        queue: dnsLabel.default('default').describe('The Queue whose share it uses.'),
        priority: z.number().int().min(-1_000_000_000).max(1_000_000_000).default(100).describe('Higher goes first.'),
        capacityType: capacityWanted
          .optional()
          .describe(
            'Where replicas may sit: reserved, on-demand or spot, as Pools and nodes are paid for; a list is in order of preference. When left out: in that order, spot only where there is nothing else.',
          ),
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
        disruptionBudget: disruptionBudget
          .optional()
          .describe(
            'How many replicas more urgent work of its Queue may take at once, and others from their Queue only where nothing else would do; any number when left out.',
          ),
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

export type InferenceService = z.output<typeof inferenceService>
