import { z } from 'zod'
import { base, count, timeMs } from './fields.ts'

/** Ledger of one node and hour, or day where that is long over. Written by observe/ledger alone. */
export const ledgerPage = z
  .strictObject({
    ...base('LedgerPage'),
    spec: z
      .strictObject({
        node: z.string().describe('The node.'),
        pool: z.string().describe('Its pool.'),
        accelerator: z.string().default('cpu').describe('Which of its accelerators; a node may have several models.'),
        fromMs: timeMs.describe('Start of the hour.'),
      })
      .describe('Which node, accelerator and hour it accounts for.'),
    status: z
      .strictObject({
        slots: count.describe('Accelerators (or slots) of the node.'),
        throughMs: timeMs.describe('Everything up to here is accounted for.'),
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

export type LedgerPage = z.output<typeof ledgerPage>
