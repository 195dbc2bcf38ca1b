import { thresholdSaid } from '../../model/health.ts'
import { healthRules } from '../../model/node-conditions.ts'
import { oneOf } from '../arguments.ts'
import { dump, table } from '../output.ts'

/** From when on a sign of trouble counts. */
export async function signals(options: { output?: string }): Promise<void> {
  const format = oneOf('--output', options.output, ['table', 'json', 'yaml'], 'table')
  if (format !== 'table') return console.log(await dump(healthRules, format))
  const rows = healthRules.map((rule) => [rule.signal, thresholdSaid(rule), rule.follows, rule.source])
  console.log(table(['SIGNAL', 'FROM', 'WHAT FOLLOWS', 'SOURCE'], rows))
}
