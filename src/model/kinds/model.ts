import { z } from 'zod'
import { base, conditions, count, step } from './fields.ts'

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
            step: step.optional().describe('The last step.'),
            dataset: z.string().optional().describe('The data that it was trained on.'),
            datasetDigest: z.string().optional().describe('sha256 of the data as the job read it.'),
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

export type Model = z.output<typeof model>
