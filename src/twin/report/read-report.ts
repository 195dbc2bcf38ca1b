import { z } from 'zod'
import { formatFieldError } from '../../model/field-error.ts'
import { millwrightVersion } from '../../model/metadata.ts'
import { schemaErrors } from '../../model/schema-errors.ts'
import { units } from './measures.ts'

const figure = z.number()

/** As much of a report as a comparison needs. */
const comparable = z.looseObject({
  apiVersion: z.literal(millwrightVersion),
  kind: z.literal('TwinReport'),
  scenario: z.looseObject({ name: z.string(), horizonSeconds: figure, nodes: figure, accelerators: figure }),
  measures: z.array(
    z.strictObject({
      name: z.string(),
      unit: z.enum(units),
      mean: figure,
      min: figure,
      max: figure,
      values: z.array(figure.nullable()),
    }),
  ),
  seeds: z.array(z.looseObject({ seed: figure })),
})

export type Comparable = z.output<typeof comparable>

/** Reads what `millwright twin run -o json` wrote, or says what is wrong with it. Never throws. */
export function readReport(text: string): { report: Comparable } | { problems: string[] } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { problems: ['is not JSON; write it with `millwright twin run -o json`'] }
  }
  const parsed = comparable.safeParse(value)
  if (parsed.success) return { report: parsed.data }
  return { problems: schemaErrors(comparable, value, parsed.error.issues, () => false).map(formatFieldError) }
}
