// node score.mjs model.onnx < rows.csv: a score and a flag for each line of numbers, none between commas where one is missing
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web"; // the browser's build; a page imports the same

const model = await ort.InferenceSession.create(process.argv[2]);
const lines = readFileSync(0, "utf8").trimEnd().split("\n");
const rows = lines.map((line) => line.split(",").map((cell) => (cell.trim() === "" ? NaN : Number(cell))));
const X = new ort.Tensor("float64", Float64Array.from(rows.flat()), [rows.length, rows[0].length]);
const { anomaly_score, is_anomaly } = await model.run({ X });
anomaly_score.data.forEach((score, row) => console.log(`${score},${is_anomaly.data[row]}`));
