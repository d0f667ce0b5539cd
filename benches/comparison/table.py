"""From the figures of all rounds to one table."""

from statistics import median


def summary(rounds: list[dict], names: list[str], base: str) -> list[dict]:
    """One line for each contender: medians over the rounds; the ratio is the median of the ratios within a round."""
    lines = []
    for name in names:
        results = [played[name] for played in rounds if name in played]
        good = [result for result in results if "error" not in result]
        line = {"contender": name, "rounds": len(good), "failed": len(results) - len(good)}
        if results and not good:
            line["error"] = results[-1]["error"]
        if good:
            rates = [result["jobs_per_second"] for result in good]
            line |= {"median": median(rates), "min": min(rates), "max": max(rates), "note": good[-1]["note"]}
            ratios = [
                played[name]["jobs_per_second"] / played[base]["jobs_per_second"]
                for played in rounds
                if all("jobs_per_second" in played.get(one, {}) for one in (name, base))
            ]
            line["ratio"] = median(ratios) if ratios else None
            for cost in ("server", "postgres", "clients"):
                line[f"{cost}_us"] = median(result["cpu_us_per_job"][cost] for result in good)
            for cost in ("transactions_per_job", "wal_bytes_per_job"):
                line[cost] = median(result[cost] for result in good)
        lines.append(line)
    return lines


def markdown(lines: list[dict], base: str) -> str:
    """The table as a document shows it."""
    head = ["contender", "jobs/s", "min..max", f"ratio to {base}", "CPU µs a job: server", "Postgres", "clients"]
    head += ["transactions a job", "WAL bytes a job", "note"]
    rows = [head, ["---", *["---:"] * 8, "---"]]
    for line in lines:
        if "median" not in line:
            rows.append([line["contender"], *["-"] * 8, line.get("error", "not run")])
            continue
        note = line["note"]
        if line["failed"]:
            note += f" ({line['failed']} of {line['rounds'] + line['failed']} rounds failed)"
        rows.append([
            line["contender"],
            f"{line['median']:,.0f}",
            f"{line['min']:,.0f}..{line['max']:,.0f}",
            f"{line['ratio']:.2f}" if line["ratio"] else "-",
            f"{line['server_us']:.0f}",
            f"{line['postgres_us']:.0f}",
            f"{line['clients_us']:.0f}",
            f"{line['transactions_per_job']:.3f}",
            f"{line['wal_bytes_per_job']:,.0f}",
            note,
        ])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
