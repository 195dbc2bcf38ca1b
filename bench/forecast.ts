import { largeRow } from './forecast/large.ts'
import { liveRows, torchRows } from './forecast/live.ts'
import { phillyRows } from './forecast/philly.ts'
import { servedRow } from './forecast/served.ts'
import type { Row } from './row.ts'

/** How far forecasts are off: of jobs that once ran, of requests, and of a factory on this machine. */
export async function* rows(): AsyncGenerator<Row> {
  yield* await phillyRows()
  yield await servedRow()
  yield largeRow()
  yield* liveRows()
  yield* await torchRows()
}
