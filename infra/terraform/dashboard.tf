locals {
  # The lines of a graph: their labels, and the names on AWS of what they show.
  lines = {
    functions    = { for name, function in local.functions : name => function.function_name }
    row_counting = { for name, function in local.row_counting_functions : name => function.function_name }
    queues       = { for name, queue in local.queues : name => queue.name }
    dead_letters = { for name, queue in local.queues : name => queue.dead_letter_queue_name }
  }

  # Each graph has one line per function or queue. It shows a metric of the functions or one of AWS.
  dashboard_graphs = concat(
    [
      for graph in [
        { title = "Rows read", metric = "rows_read", stat = "Sum", lines = "row_counting" },
        { title = "Rows kept", metric = "rows_kept", stat = "Sum", lines = "row_counting" },
        { title = "Rows excluded", metric = "rows_excluded", stat = "Sum", lines = "row_counting" },
        { title = "Rows quarantined", metric = "rows_quarantined", stat = "Sum", lines = "row_counting" },
        { title = "Objects written", metric = "objects_written", stat = "Sum", lines = "functions" },
        { title = "Conflicts: conditional puts that failed", metric = "conflicts", stat = "Sum", lines = "functions" },
        { title = "Retries: requests sent again", metric = "retries", stat = "Sum", lines = "functions" },
        { title = "Requests to S3", metric = "s3_requests", stat = "Sum", lines = "functions" },
        { title = "Age of processed events, median", metric = "event_age", stat = "p50", lines = "functions" },
        { title = "Age of processed events, 99th percentile", metric = "event_age", stat = "p99", lines = "functions" },
      ] : merge(graph, { namespace = local.metrics.namespace, dimension = local.metrics.dimension })
    ],
    [
      for graph in [
        { title = "Duration, 99th percentile", metric = "Duration", stat = "p99" },
        { title = "Invocations", metric = "Invocations", stat = "Sum" },
        { title = "Errors", metric = "Errors", stat = "Sum" },
        { title = "Throttles", metric = "Throttles", stat = "Sum" },
      ] : merge(graph, { namespace = "AWS/Lambda", dimension = "FunctionName", lines = "functions" })
    ],
    [
      for graph in [
        { title = "Waiting events", metric = "ApproximateNumberOfMessagesVisible", lines = "queues" },
        { title = "Age of the oldest waiting event, seconds", metric = "ApproximateAgeOfOldestMessage", lines = "queues" },
        { title = "Dead letters", metric = "ApproximateNumberOfMessagesVisible", lines = "dead_letters" },
      ] : merge(graph, { namespace = "AWS/SQS", dimension = "QueueName", stat = "Maximum" })
    ],
  )

  dashboard_series = concat(
    [
      for graph in local.dashboard_graphs : {
        title = graph.title
        series = [
          for label, name in local.lines[graph.lines] :
          [graph.namespace, graph.metric, graph.dimension, name, { stat = graph.stat, label = label }]
        ]
      }
    ],
    [
      {
        # The search finds all reasons, since Terraform does not know which ones occur.
        title = "Rows excluded, by reason"
        series = [[{
          expression = "SEARCH('{${local.metrics.namespace},${local.metrics.dimension},${local.metrics.reason_dimension}} MetricName=\"rows_excluded\" ${local.metrics.dimension}=(${join(" OR ", [for name in values(local.lines.functions) : "\"${name}\""])})', 'Sum')"
          label      = ""
          id         = "excluded"
        }]]
      },
    ],
  )
}

resource "aws_cloudwatch_dashboard" "lake" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for index, graph in local.dashboard_series : {
        type   = "metric"
        width  = 8
        height = 6
        x      = 8 * (index % 3)
        y      = 6 * floor(index / 3)
        properties = {
          title   = graph.title
          region  = local.region
          view    = "timeSeries"
          stacked = false
          period  = 300
          metrics = graph.series
        }
      }
    ]
  })
}
