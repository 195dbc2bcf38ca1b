import { z } from 'zod'
import { durationMs } from '../../model/duration.ts'
import { duration, line, positiveDuration } from '../../model/kinds/fields.ts'
import { dnsLabel, resourceName } from '../../model/metadata.ts'
import { requestFormats } from '../import/requests.ts'
import type { Course } from '../traffic/arrivals.ts'
import { p99OverMeanMax, type TokenLength } from '../traffic/draws.ts'

/** Longer prompts than any model takes. */
const tokensMax = 10_000_000
const tokens = z.number().int().min(1).max(tokensMax)

const tokenLength = z.union([
  tokens,
  z
    .strictObject({
      mean: z.number().min(1).max(tokensMax).describe('Mean.'),
      p99: z.number().min(1).max(tokensMax).optional().describe('99th percentile; all are as long when left out.'),
      max: tokens.optional().describe('Longest; four times the 99th percentile when left out.'),
    })
    .superRefine(({ mean, p99 = mean, max = p99 }, context) => {
      const wrong = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message })
      if (p99 < mean) wrong('p99', `must be at least the mean, ${mean}`)
      // Of a lognormal distribution: e to the 2.33² / 2.
      if (p99 > mean * p99OverMeanMax) wrong('p99', `must be at most 14.9 times the mean, ${mean}`)
      if (max < p99) wrong('max', `must be at least the 99th percentile, ${p99}`)
    }),
])

const burst = z.strictObject({
  at: duration.describe('When it begins, from the start of the run.'),
  lasts: positiveDuration.describe('How long it lasts.'),
  factor: z.number().min(0).max(10_000).describe('The rate is multiplied by it.'),
})

const trace = z.strictObject({
  file: line(4096).describe('Path of a trace of requests, from where the scenario stands.'),
  format: z.enum(requestFormats).describe('How it is written.'),
  speed: z.number().gt(0).max(10_000).default(1).describe('So many times as fast.'),
  repeat: z.boolean().default(false).describe('From its start again when it is over.'),
})

const clients = z.strictObject({
  files: z.array(line(4096)).min(1).max(10_000).describe("Paths of ServeGen's clients (chunk-N-trace.csv), one each."),
  scale: z.number().gt(0).max(10_000).default(1).describe('Their rates are multiplied by it.'),
})

/** How things come at a rate. */
export const courseFields = {
  cv: z
    .number()
    .min(0)
    .max(100)
    .optional()
    .describe(
      'Coefficient of variation of the gaps between them: 1, the default, is a Poisson process, more is gamma.',
    ),
  daily: z
    .strictObject({
      share: z
        .number()
        .min(0)
        .max(1)
        .describe('The rate is higher by this share of it at its peak, and lower at night.'),
      peakAt: duration.default('14h').describe('When the rate is highest, from the start of the run, each day.'),
    })
    .optional()
    .describe('How the rate swings over a day.'),
  bursts: z.array(burst).max(1000).optional().describe('Stretches with a multiple of the rate.'),
}

const courseSpec = z.strictObject(courseFields)

/** @param rate Per second. */
export function courseOf(rate: number, { cv = 1, daily, bursts = [] }: z.output<typeof courseSpec>): Course {
  return {
    rate,
    cv,
    daily: daily === undefined ? undefined : { share: daily.share, peakAtMs: durationMs(daily.peakAt) },
    bursts: bursts.map(({ at, lasts, factor }) => ({ atMs: durationMs(at), lastsMs: durationMs(lasts), factor })),
  }
}

const rateFields = ['cv', 'daily', 'bursts'] as const
const drawnFields = [...rateFields, 'input', 'output'] as const

/** The requests that a service gets. */
export const traffic = z
  .strictObject({
    service: resourceName.describe('The service.'),
    namespace: dnsLabel.default('default').describe('Its namespace.'),
    from: duration
      .default('0s')
      .describe('When it begins, from the start of the run; not before its service is applied.'),
    rate: z.number().gt(0).max(1_000_000).optional().describe('Requests per second, on average.'),
    ...courseFields,
    input: tokenLength.optional().describe('Tokens of a prompt.'),
    output: tokenLength.optional().describe('Tokens of an answer.'),
    trace: trace.optional().describe('Requests as they once came, instead of a rate.'),
    clients: clients.optional().describe('Clients with rates over time of their own, instead of a rate.'),
    slo: z
      .strictObject({
        ttft: positiveDuration.optional().describe('Longest until the first token.'),
        tpot: positiveDuration.optional().describe('Longest for a token after the first, on average over a request.'),
      })
      .optional()
      .describe('What its users expect.'),
  })
  .superRefine((value, context) => {
    const wrong = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    const said = [value.rate, value.trace, value.clients].filter((one) => one !== undefined)
    if (said.length !== 1) wrong([], 'must have rate, trace or clients, one of them')
    for (const field of value.trace !== undefined ? drawnFields : value.clients !== undefined ? rateFields : []) {
      const by =
        value.trace === undefined ? 'the clients have rates of their own' : 'the requests come as they are in the trace'
      if (value[field] !== undefined) wrong([field], `must be left out: ${by}`)
    }
  })

export type TrafficSpec = z.output<typeof traffic>

export type TokenLengthSpec = z.output<typeof tokenLength>

/** Where a scenario says nothing: as in Azure's trace of conversations (2023; Splitwise, ISCA 2024). */
export const lengthDefaults = { input: { mean: 1155, p99: 4142 }, output: { mean: 211, p99: 601 } } as const

export function tokenLengthOf(spec: TokenLengthSpec): TokenLength {
  if (typeof spec === 'number') return { mean: spec, max: spec }
  const { mean, p99 = mean, max = Math.ceil(4 * p99) } = spec
  return { mean, p99, max }
}
