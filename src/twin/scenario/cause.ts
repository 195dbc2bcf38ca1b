import { z } from 'zod'
import { capacityType } from '../../model/capacity.ts'
import { durationMs } from '../../model/duration.ts'
import { faultFields, faultProblems, faults, strikesNodes } from '../../model/faults.ts'
import { duration, positiveDuration } from '../../model/kinds/fields.ts'
import { dnsLabel } from '../../model/metadata.ts'

/** Mixes of faults that were measured: see presets.ts. */
export const presetNames = ['llama3', 'rsc1', 'rsc2', 'fire-flyer', 'spot', 'maintenance', 'shocks'] as const

/** Nobody plays windows by the second. */
const everyMsMin = 60_000

const fault = z
  .strictObject({
    ...faultFields,
    perNodeDay: z.number().min(0).max(1000).optional().describe('How often, on average, a node and day.'),
    perDomainDay: z
      .number()
      .min(0)
      .max(1000)
      .optional()
      .describe('How often, on average, an NVLink domain, rack, block or zone (its `reach`) and day.'),
    count: z
      .number()
      .int()
      .min(0)
      .max(100_000)
      .optional()
      .describe('How often in all, at times drawn evenly; with `every`, no oftener than that.'),
    at: duration.optional().describe('It begins then, from the start; where is drawn.'),
    every: positiveDuration
      .optional()
      .describe('And again and again, one place after the other in the order of the fleet.'),
    pools: z
      .array(dnsLabel)
      .min(1)
      .max(1000)
      .optional()
      .describe('It strikes nodes of these shapes of the fleet alone, by name.'),
    capacityType: capacityType.optional().describe('It strikes nodes alone that are paid for like this: spot.'),
    share: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe('Each node within `reach` is struck with this probability, one in any case; all when left out.'),
    lemons: z
      .strictObject({
        share: z.number().gt(0).lt(1).describe('Each node is one with this probability.'),
        times: z.number().min(1).max(1_000_000).describe('It is struck so many times as often as one that is none.'),
      })
      .optional()
      .describe(
        'Nodes that are struck again and again, drawn once a run. The rate stays that of all nodes on average.',
      ),
  })
  .superRefine((value, context) => {
    const { kind, perNodeDay, perDomainDay, count, at: begins, every, share, reach, lemons, pools } = value
    const wrong = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    const isWindow = begins !== undefined && every !== undefined
    const rates = [perNodeDay, perDomainDay, isWindow ? undefined : count, begins]
    if (rates.filter((rate) => rate !== undefined).length !== 1)
      wrong([], 'must have perNodeDay, perDomainDay, count or at, one of them')
    if (every !== undefined && begins === undefined) wrong(['every'], 'goes with at')
    if (every !== undefined && durationMs(every) < everyMsMin) wrong(['every'], 'must be at least 1m')
    for (const [field, rate] of Object.entries({ perNodeDay, perDomainDay }))
      if (!strikesNodes(kind) && rate !== undefined)
        wrong([field], `must be left out: a ${faults[kind].strikes} is on no node; write count or at`)
    for (const [field, given] of Object.entries({ perDomainDay, share }))
      if (strikesNodes(kind) && given !== undefined && reach === undefined)
        wrong([field], 'must be left out, or say of what with reach: nvlink, rack, block or zone')
    for (const [field, given] of Object.entries({ share, lemons, pools, capacityType: value.capacityType }))
      if (!strikesNodes(kind) && given !== undefined)
        wrong([field], `must be left out: a ${faults[kind].strikes} is on no node`)
    for (const [field, given] of Object.entries({ perDomainDay, at: begins }))
      if (lemons !== undefined && given !== undefined)
        wrong(['lemons'], `must be left out with ${field}: write perNodeDay or count`)
    for (const { at, problem } of faultProblems(value)) wrong([at], problem)
  })

/** What goes wrong in a scenario. */
export const faultsOfScenario = z.strictObject({
  preset: z.enum(presetNames).optional().describe('A mix that the field has measured.'),
  scale: z.number().min(0).max(1_000_000).default(1).describe("The preset's rates are multiplied by it."),
  mix: z.record(z.string().min(1).max(63), fault).default({}).describe('Causes by name; one of a preset is replaced.'),
  openAfter: duration
    .default('1h')
    .describe('Somebody looks at a node that recovery has closed, and opens it again, after so long.'),
})

export type FaultSpec = z.output<typeof fault>
export type PresetName = (typeof presetNames)[number]
