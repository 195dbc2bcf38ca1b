import { z } from 'zod'
import { base, conditions, count, line, observedGeneration, text } from './fields.ts'

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
        digest: z
          .string()
          .optional()
          .describe(
            'sha256 of the file; of a folder, of what sha256sum prints of its files in byte order of their paths.',
          ),
        previousDigest: z
          .string()
          .optional()
          .describe('What the digest was before the files changed, until the new one is known.'),
        bytes: z.number().optional().describe('Its size.'),
        files: count.optional().describe('How many files.'),
        observedGeneration,
      })
      .optional()
      .describe('What was seen last.'),
  })
  .describe('A checksummed set of files to train on.')

export type Dataset = z.output<typeof dataset>
